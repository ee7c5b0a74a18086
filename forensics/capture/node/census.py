"""A census of a Node process from outside: its large containers with their element counts, in small steps.

Nothing asks V8 to visit the whole heap, which collects garbage several times first (``Runtime.queryObjects``) or stands
still for minutes (a snapshot). Instead the program's own functions are followed: the debugger tells a function's file
and, as ``[[Scopes]]``, the variables it captured, a module's among them; what they lead to is walked a few milliseconds
at a time. Between two steps the process serves. No accessor and no proxy is run; of keys none is taken.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from forensics.capture.node.session import Session
from forensics.capture.node.sources import is_library

#: All steps of one census together take the process at most so long, seconds; one walk, milliseconds.
BUDGET = 2.0
STEP = 20
#: Functions that are looked at, at most: a library's are left after one look.
_MOST_FUNCTIONS = 4000
_GROUP = "forensics census"
#: Variables that every CommonJS module has.
_OF_THE_WRAPPER = ("exports", "require", "module", "this")


@dataclass(frozen=True)
class Container:
    """One container: how it is reached, what it is, its elements, and the names of the properties of the first."""

    path: str
    kind: str  # Map, Set, Array or Object
    elements: int
    shape: tuple[str, ...]


@dataclass(frozen=True)
class Census:
    """What was found, the largest first, and what it cost: seconds in all steps together, and in the longest.

    ``complete`` is False where the time did not suffice for all that was reached.
    """

    containers: tuple[Container, ...]
    functions: int
    pause_seconds: float
    longest_pause: float
    complete: bool


def census(session: Session, *, budget: float = BUDGET) -> Census:
    """Rank the containers of a process; its debugger is switched on for that, and off again.

    Raises
    ------
    CaptureError : the inspector refused, or broke off.
    """
    work = _Work(session, budget)
    try:
        return work.run()
    finally:
        with contextlib.suppress(Exception):
            session.call("Runtime.releaseObjectGroup", {"objectGroup": _GROUP})
            session.call("Debugger.disable")


@dataclass
class _Work:
    session: Session
    budget: float
    scripts: dict[str, str] = field(default_factory=dict)
    scopes: set[tuple[str, str]] = field(default_factory=set)
    spent: float = 0.0
    longest: float = 0.0

    def run(self) -> Census:
        self._call("Debugger.enable", {})
        program = resources.files("forensics.capture.node").joinpath("census.js").read_text(encoding="utf-8")
        made = self._call(
            "Runtime.evaluate",
            {"expression": program, "includeCommandLineAPI": True, "objectGroup": _GROUP, "silent": True},
        )
        self.walker = made["result"]["objectId"]
        looked_at, finished = self._follow()
        rows = self._on_walker("result")
        containers = [
            Container(str(row["path"]), str(row["kind"]), int(row["elements"]), tuple(map(str, row["shape"])))
            for row in rows
        ]
        containers.sort(key=lambda each: -each.elements)
        return Census(tuple(containers), looked_at, round(self.spent, 4), round(self.longest, 4), finished)

    def _follow(self) -> tuple[int, bool]:
        """Walk, and read the captured variables of every function of the program that is reached, by turns."""
        number = 0
        while self.spent < self.budget:
            left = int(self._on_walker("walk", STEP))
            known = int(self._on_walker("count"))
            if not left and number >= known:
                return number, True
            # A variable leads to more functions: they are looked at before the walk goes on.
            while number < min(known, _MOST_FUNCTIONS) and self.spent < self.budget:
                self._look_at(number)
                number += 1
        return number, False

    def _look_at(self, number: int) -> None:
        function = self._on_walker("functionAt", number, by_value=False)
        inside = self._properties(function["objectId"]).get("internalProperties", [])
        internal = {each["name"]: each.get("value", {}) for each in inside}
        place = internal.get("[[FunctionLocation]]", {}).get("value")
        scopes = internal.get("[[Scopes]]", {}).get("objectId")
        file = self.scripts.get(str(place["scriptId"]), "") if place else ""
        if not scopes or not file or is_library(file):
            return
        name = PurePosixPath(file).name
        for scope in self._properties(scopes)["result"]:
            said = str(scope.get("value", {}).get("description", ""))
            if not said.startswith(("Closure", "Block", "Script", "Module", "Local")):
                continue
            variables = self._properties(scope["value"]["objectId"])["result"]
            # The same scope is told anew by each function in it.
            key = file, said + "|".join(f"{each['name']}" for each in variables)
            if key in self.scopes:
                continue
            self.scopes.add(key)
            self._enter(name, variables)

    def _enter(self, script: str, variables: list[dict[str, Any]]) -> None:
        for each in variables:
            value = each.get("value", {}).get("objectId")
            if value is not None and each["name"] not in _OF_THE_WRAPPER:
                self._on_walker("enter", {"objectId": value}, f"{script} · {each['name']}")

    def _properties(self, of: str) -> dict[str, Any]:
        return self._call("Runtime.getProperties", {"objectId": of, "ownProperties": True})

    def _on_walker(self, method: str, *arguments: Any, by_value: bool = True) -> Any:
        given = [each if isinstance(each, dict) else {"value": each} for each in arguments]
        answer = self._call(
            "Runtime.callFunctionOn",
            {
                "objectId": self.walker,
                "functionDeclaration": f"function(...given) {{ return this.{method}(...given); }}",
                "arguments": given,
                "returnByValue": by_value,
                "objectGroup": _GROUP,
                "silent": True,
            },
        )
        return answer["result"].get("value") if by_value else answer["result"]

    def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        with self._timed():
            return self.session.call(method, parameters, on_event=self._hear)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["method"] == "Debugger.scriptParsed":
            self.scripts[str(message["params"]["scriptId"])] = str(message["params"]["url"])
        elif message["method"] == "Debugger.paused":
            # A `debugger` statement of the program's: nobody is to wait for us.
            self.session.send("Debugger.resume")

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.spent += took
        self.longest = max(self.longest, took)
