"""The crews, for real, against the stand-in."""
