"""Where the notebooks and the small captures are: at the top of a checkout, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from forensics.errors import ForensicsError

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_data"
_CHECKOUT = _PACKAGE.parent


def notebooks() -> Path:
    """The folder of the numbered notebooks; read-only, copy them to work on them.

    Raises
    ------
    ForensicsError : this installation was made without them.
    """
    return _find("notebooks")


def captures() -> Path:
    """The folder of the small captures that come along (``fastapi/leaking``, ``fastapi/mended``).

    Raises
    ------
    ForensicsError : this installation was made without them.
    """
    return _find("captures")


def _find(name: str) -> Path:
    # A checkout is told by its build file, so that some other site-packages/notebooks is never taken for ours.
    places = [_INSTALLED / name]
    if (_CHECKOUT / "setup.py").is_file() and (_CHECKOUT / "pyproject.toml").is_file():
        places.insert(0, _CHECKOUT / name)
    for place in places:
        if place.is_dir():
            return place
    raise ForensicsError(
        f"The {name} that come with forensics were looked for in {' and '.join(map(str, places))}: not there.",
        advice="Install the package again from a complete source tree (pip install --force-reinstall).",
        name=name,
    )
