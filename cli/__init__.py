"""The `labelcrew` command: one module a command, heavy imports inside them, so that `--help` answers at once."""
