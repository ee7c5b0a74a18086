"""Reports: one judgement of a capture, laid out for people (HTML, Markdown) and for programs (JSON, SARIF)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from forensics.errors import BundleError, ForensicsError
from forensics.report.material import Material, Reportable, gather

__all__ = ["FORMATS", "render", "write_report"]

#: What stands near the head of a report of ours, one for each format.
_SIGNS = (
    b"<title>Memory report: ",
    b"# Memory report: ",
    b'"schema": "forensics.report/',
    b'"name": "dynamodb-memory-forensics"',
)
_HEAD_BYTES = 4096


def _html(material: Material) -> str:
    from forensics.report import page

    return page.render(material)


def _markdown(material: Material) -> str:
    from forensics.report import prose

    return prose.render(material)


def _json(material: Material) -> str:
    from forensics.report import record

    return record.render(material)


def _sarif(material: Material) -> str:
    import json

    from forensics.report.sarif import to_sarif

    return (
        json.dumps(to_sarif(material.findings, version=material.tool_version), indent=2, ensure_ascii=False)
        + "\n"
    )


#: A format is a plain function from the gathered material to text. Each loads its own libraries when called.
FORMATS: dict[str, Callable[[Material], str]] = {
    "html": _html,
    "md": _markdown,
    "json": _json,
    "sarif": _sarif,
}


def render(capture: Reportable, format: str = "html") -> str:
    """The report of ``capture`` as text.

    Raises
    ------
    ForensicsError : the format is unknown.
    """
    if format not in FORMATS:
        raise ForensicsError(
            f"A report was asked for as {format!r}; known are {', '.join(FORMATS)}.",
            advice="Choose one of these with --format.",
            format=format,
        )
    return FORMATS[format](gather(capture))


def write_report(
    capture: Reportable,
    out: str | os.PathLike[str] | None = None,
    format: str = "html",
    *,
    force: bool = False,
) -> Path:
    """Write the report of ``capture`` to the file ``out``, whole or not at all, readable by its owner only.

    By default ``out`` is ``report.html`` (``.md`` …) in the working directory. An earlier report of that name is
    replaced; another file only with ``force``. Returns the path.

    Raises
    ------
    ForensicsError : unknown format
    BundleError : the file cannot be written, its folder does not exist, or another file is in its place
    """
    path = Path(f"report.{format}" if out is None else out)
    _may_be_written(path, force)
    text = render(capture, format)
    partial: str | None = None
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(partial, path)
    except OSError as error:
        if partial:
            Path(partial).unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return path


def _may_be_written(path: Path, force: bool) -> None:
    """Refuse to make folders out of a typing error, and to replace what is no report of ours."""
    elsewhere = "Choose another file with -o"
    try:
        if not path.parent.exists():
            raise BundleError(
                f"The report cannot be written to {path}: there is no folder {path.parent}.",
                advice="Make that folder first, or choose another file with -o.",
                path=str(path),
            )
        if path.is_dir() or not path.exists():
            return
        if not path.is_file():
            raise BundleError(
                f"The report cannot be written to {path}: it is not a plain file.",
                advice=f"{elsewhere}; `-o -` writes to standard output.",
                path=str(path),
            )
        ours = force or _is_ours(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    if not ours:
        raise BundleError(
            f"{path} exists and is no report of ours; it was left as it is.",
            advice=f"{elsewhere}, or say --force to replace it.",
            path=str(path),
        )


def _is_ours(path: Path) -> bool:
    """Whether a file is an earlier report, or empty."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return not head or any(sign in head for sign in _SIGNS)


def _unwritable(path: Path, error: OSError) -> BundleError:
    return BundleError(
        f"The report cannot be written to {path}: {error.strerror or error}.",
        advice="Choose another file with -o, in a folder that you may write to and that has room.",
        path=str(path),
    )
