"""Whose code a frame is, as one of five words."""

from __future__ import annotations

import enum


class Room(enum.IntEnum):
    """Whose code it is; ``label`` is the word that reference chains use for the same rooms."""

    APPLICATION = 0
    FRAMEWORK = 1
    SDK = 2
    DESERIALISER = 3
    RUNTIME = 4

    @property
    def label(self) -> str:
        """application, framework, sdk, dynamodb or runtime."""
        return _LABELS[self]


_LABELS = ("application", "framework", "sdk", "dynamodb", "runtime")
