"""The native walker: C sources, and how to build them for an interpreter. ``_walker`` is there where a compiler was."""
