"""A command line in short: what tells one process from its neighbours, and nothing that looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forensics.capture.masking import secret_kind

#: Characters of a command in short; whoever needs all of it has ``Target.command_line``.
LONGEST = 72
#: What stands in the place of a secret.
HIDDEN = "***"

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?(?:-\w+)?")
_NODE = ("node", "nodejs")
#: Options of the interpreters whose value is a word of its own.
_WITH_VALUE = {
    "python": frozenset({"-X", "-W", "--check-hash-based-pycs"}),
    "node": frozenset(
        "-r --require --import --loader --experimental-loader -C --conditions --env-file --title --icu-data-dir".split()
    ),
}
#: A name whose value is nobody's business: of an option (--db-password) or of a variable (AWS_SESSION_TOKEN).
_NAMES = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|(?:api|access|secret|private|account)[-_]?key"
    r"(?:[-_]id)?|auth|authorization|bearer|jwt|dsn|cookie)"
)
_SECRET_OPTION = re.compile(rf"(?i)--?(?:[\w-]*[-_])?{_NAMES}")
#: NAME=value, "name": "value" of JSON; and a header, all of whose value counts. Not module:application.
_ASSIGNED = re.compile(rf"(?i)({_NAMES}(?:[\"']?\s?=\s?|[\"']\s?:\s?))(\"[^\"]*\"?|'[^']*'?|[^\s,;&}}]+)")
_HEADER = re.compile(rf"(?i)({_NAMES}:\s).+")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
#: What may be a secret of itself, wherever in a word it stands.
_PIECE = re.compile(r"[\w/+.@%-]{12,}")


def in_short(words: Sequence[str], name: str, longest: int = LONGEST) -> str:
    """The program and its arguments: the module, script or application, not the interpreter that runs it.

    Folders are left away, but for the one that a script lies in: many services are a ``main.py``. The values of
    options and variables that are named like secrets, users and passwords in addresses, and words that look like a
    secret (``masking.secret_kind``) are shown as ``***``.

    Parameters
    ----------
    words : the argument vector; may be empty
    name : what the kernel calls the process, shown where there is no argument vector
    longest : characters; what is longer ends with an ellipsis
    """
    if not words or not words[0]:
        return name
    shown = " ".join(" ".join(word.split()) for word in _masked(_program(list(words))))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _program(words: list[str]) -> list[str]:
    """The words from the program on."""
    if " " in words[0]:  # a title that the process gave itself: "gunicorn: worker [orders.api:app]"
        return words
    interpreter = _base(words[0])
    kind = "python" if _PYTHON.fullmatch(interpreter) else "node" if interpreter in _NODE else ""
    rest = _without_options(words[1:], _WITH_VALUE[kind]) if kind else words[1:]
    if not kind or not rest:
        return [interpreter, *map(_base_of_path, rest)]
    if rest[0] == "-m" and rest[1:]:
        return [rest[1], *map(_base_of_path, rest[2:])]
    if rest[0].startswith("-"):  # -c CODE, -e CODE, or nothing but options
        return [interpreter, *rest]
    return [_script(rest[0]), *map(_base_of_path, rest[1:])]


def _without_options(words: list[str], with_value: frozenset[str]) -> list[str]:
    """What follows the interpreter's own options; ``-m``, ``-c`` and their kin belong to the program."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        if word in ("-m", "-c", "-e", "-p", "--eval", "--print"):
            return words[at:]
        # python -Im module
        if re.fullmatch(r"-[A-Za-z]+[mc]", word) and word[1:-1].isalpha() and not with_value & {word[:2]}:
            return ["-" + word[-1], *words[at + 1 :]]
        at += 2 if word in with_value else 1
    return words[at:] or words


def _script(path: str) -> str:
    """A script with the folder that it lies in; a command of a ``bin`` without."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    folder = parts[-2:-1]
    return "/".join(parts[-1:] if folder in (["bin"], [".bin"]) else parts[-2:]) or path


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or path


def _base_of_path(word: str) -> str:
    return f"…/{_base(word)}" if word.startswith("/") and word.count("/") > 1 else word


def _masked(words: Sequence[str]) -> list[str]:
    shown, next_is_secret = [], False
    for word in words:
        if next_is_secret and not word.startswith("--"):
            shown.append(HIDDEN)
            next_is_secret = False
            continue
        next_is_secret = (
            word.startswith("-") and "=" not in word and _SECRET_OPTION.fullmatch(word) is not None
        )
        shown.append(_masked_word(word))
    return shown


def _masked_word(word: str) -> str:
    word = _USER.sub(f"{HIDDEN}@", word)
    word = _HEADER.sub(rf"\g<1>{HIDDEN}", word)
    word = _ASSIGNED.sub(rf"\g<1>{HIDDEN}", word)
    word = _PIECE.sub(lambda found: HIDDEN if _looks_secret(found[0]) else found[0], word)
    return HIDDEN if _looks_secret(word) else word


def _looks_secret(text: str) -> bool:
    return secret_kind(text.encode("utf-8", "replace")) != 0
