"""Stand-ins that speak a protocol for real: no room of ours is ever replaced by a mock."""
