"""What can go wrong, as one family of exceptions.

Every error says what was tried, what was found and what to do next, and carries the values it speaks of in
``data`` so that a program can act on them. The command line prints ``str(error)`` and exits with 3.
"""

from __future__ import annotations

from typing import Any


class ForensicsError(Exception):
    """Something could not be done.

    Parameters
    ----------
    message : what was tried and what was found, one or two sentences.
    advice : what to do next; printed on a line of its own.
    data : the values the message speaks of (pid, path, offset, …).
    """

    def __init__(self, message: str, *, advice: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.data = data

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class TargetError(ForensicsError):
    """A process or endpoint cannot be captured (absent, not ours, of an unknown runtime, no way in)."""


class CaptureError(ForensicsError):
    """A capture began and could not be finished (target gone, stream cut, no memory headroom)."""


class BundleError(ForensicsError):
    """A capture on disk cannot be read or written (absent, altered, cut short, newer format, disk full)."""


class FormatError(ForensicsError):
    """A file is not what it claims to be; ``data`` holds ``path`` and, where known, ``offset``."""


class GraphError(ForensicsError):
    """A question to an object graph that has no answer (bad arrays, unknown object id)."""


class QueryError(ForensicsError):
    """An SQL query that cannot be run or is not allowed."""


def is_interrupt(error: BaseException) -> bool:
    """Whether a person's Ctrl-C lies behind it: where that reaches compiled code, it comes out as a ``SystemError``."""
    cause: BaseException | None = error
    while isinstance(cause, SystemError):
        cause = cause.__cause__
    return isinstance(cause, KeyboardInterrupt)
