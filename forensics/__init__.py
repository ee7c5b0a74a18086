"""Memory forensics for services that use DynamoDB: ``import forensics as fx``.

Every verb of the command line is a function of the same name here, loaded when it is first used, so that a service
that imports ``forensics.agent`` or ``forensics.tracing`` pays for nothing else.

>>> import forensics as fx                                  # doctest: +SKIP
>>> folder = fx.capture(4242, snapshots=3, every=5)         # doctest: +SKIP
>>> fx.open(folder).findings()                              # doctest: +SKIP
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from forensics.acquisition import capture
    from forensics.capture.plan import plan
    from forensics.capture.targets import targets
    from forensics.demo import demo
    from forensics.errors import ForensicsError
    from forensics.findings import Finding, Findings
    from forensics.formats import import_files
    from forensics.heap import HeapGraph
    from forensics.investigation import Capture, chains, diff, findings, report, show, sql, verify
    from forensics.investigation import open_capture as open
    from forensics.lab import lab

#: name here -> (module, name there)
_PUBLIC = {
    "Capture": ("forensics.investigation", "Capture"),
    "Finding": ("forensics.findings", "Finding"),
    "Findings": ("forensics.findings", "Findings"),
    "ForensicsError": ("forensics.errors", "ForensicsError"),
    "HeapGraph": ("forensics.heap", "HeapGraph"),
    "capture": ("forensics.acquisition", "capture"),
    "chains": ("forensics.investigation", "chains"),
    "demo": ("forensics.demo", "demo"),
    "diff": ("forensics.investigation", "diff"),
    "findings": ("forensics.investigation", "findings"),
    "import_files": ("forensics.formats", "import_files"),
    "lab": ("forensics.lab", "lab"),
    "load_ipython_extension": ("forensics.magics", "load_ipython_extension"),
    "open": ("forensics.investigation", "open_capture"),
    "plan": ("forensics.capture.plan", "plan"),
    "report": ("forensics.investigation", "report"),
    "show": ("forensics.investigation", "show"),
    "sql": ("forensics.investigation", "sql"),
    "targets": ("forensics.capture.targets", "targets"),
    "verify": ("forensics.investigation", "verify"),
}

__all__ = [
    "Capture",
    "Finding",
    "Findings",
    "ForensicsError",
    "HeapGraph",
    "capture",
    "chains",
    "demo",
    "diff",
    "findings",
    "import_files",
    "lab",
    "open",
    "plan",
    "report",
    "show",
    "sql",
    "targets",
    "verify",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    try:
        module, attribute = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'forensics' has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)


class _Verb(ModuleType):
    """A room that has a verb's name (``forensics.capture``, ``.findings``, ``.report`` …): calling it is the verb."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return __getattr__(self.__name__.rpartition(".")[2])(*arguments, **options)


class _Face(ModuleType):
    """This module's type: where an import binds a room over the verb of the same name, both go on working."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PUBLIC and type(value) is ModuleType:
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
