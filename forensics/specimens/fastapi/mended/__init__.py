"""The orders service, mended: the cache keeps small things, not many of them, and not for long."""
