"""specimens."""
