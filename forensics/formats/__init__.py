"""Files into models: a registry of loaders, chosen by content first and by suffix second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.formats.importing import import_files
    from forensics.formats.registry import guess, load, load_profile, loaders

__all__ = ["guess", "import_files", "load", "load_profile", "loaders"]


def __getattr__(name: str) -> Any:
    """Import on first use: the memray reading process imports this package and wants it light."""
    if name == "import_files":
        from forensics.formats.importing import import_files

        return import_files
    if name in {"guess", "load", "load_profile", "loaders"}:
        from forensics.formats import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
