"""Whether the corpus is what it says: enough cases, every holder, expectations that can be checked."""

from __future__ import annotations

import pytest

from tests.corpus.cases import cases

CASES = cases()
HOLDERS = (
    *(
        "module-variable",
        "attribute",
        "class-attribute",
        "function-default",
        "closure",
        "cache",
        "thread-local",
    ),
    *("contextvar", "queue", "handler", "exception", "task", "frame-local", "generator", "callback"),
    "unreachable-cycle",
)
PATTERNS = ("L01", "L02", "L03", "L04", "L05", "L06", "L07", "L08", "L09", "L10", "L12", "L17", "L18")


def test_there_are_enough_of_both():
    assert sum(not case.control for case in CASES) >= 25
    assert sum(case.control for case in CASES) >= 10


@pytest.mark.parametrize("kind", HOLDERS)
def test_every_holder_is_there(kind):
    assert any(kind in expected.retainers for case in CASES for expected in case.expected)


@pytest.mark.parametrize("rule", PATTERNS)
def test_every_pattern_is_there(rule):
    assert any(rule in expected.rules for case in CASES for expected in case.expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_case_can_be_checked(case):
    source = case.file.read_text()
    assert case.run in ("uvicorn", "worker")
    assert bool(case.drive) == (case.run == "uvicorn")
    assert "import forensics.tracing" in source
    assert case.control == case.name.startswith("control_")
    assert case.control != ("MENDED" in source)
    for expected in case.expected:
        for site in expected.call_sites:
            assert len(case.lines_of(site)) > 1
