"""Does it find the leak? Every service of the corpus, captured from outside, judged, mended and verified."""

from __future__ import annotations

import pytest

from tests.corpus.cases import Case, cases
from tests.corpus.runner import Result, Score, run_all

CASES = cases()
pytestmark = pytest.mark.timeout(2400)  # the first test waits for all services


@pytest.fixture(scope="module")
def score(tmp_path_factory, request) -> Score:
    found = run_all(CASES, tmp_path_factory.mktemp("captures"))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{found}")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_case_is_found_named_and_mended(score: Score, case: Case):
    result = next(each for each in score.results if each.case == case)
    assert isinstance(result, Result)
    assert not result.problems, "\n".join(result.problems)


def test_the_score(score: Score):
    for traced in (True, False):
        assert score.recall(traced) == 1
        assert score.precision(traced) == 1
        assert score.right_holders(traced) == 1
    assert score.fixed() == 1
