"""Captured variables that no living function uses, in snapshots that Chromium itself wrote with its scopes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import CDPSession
from typer.testing import CliRunner

import forensics as fx
from forensics import formats
from forensics.cli import app
from forensics.heap import EdgeKind, HeapGraph

#: Each function captures what a dead sibling used (``…Rows``) and what a living closure uses (``…Used``).
SCRIPT = """\
const kept = [], resolvers = [];
const response = (n) => ({
  $metadata: { httpStatusCode: 200, requestId: `request-${n}`, attempts: 1, totalRetryDelay: 0 },
  Count: 20, ScannedCount: 20,
  Items: Array.from({ length: 20 }, (_, k) => ({ order_id: { S: `o-${k}` }, note: { S: 'x'.repeat(50) + n + k } })),
});
function handler(n) {
  const rows = response(n), used = { n };
  function reads() { return rows.Items.length; }
  function cheap() { return used.n; }
  reads();
  return cheap;
}
function serve(n) { for (let i = 0; i < n; i++) kept.push(handler(i)); }
async function waiting() {
  const waitingRows = response(0), waitingUsed = {};
  (() => waitingRows)();
  kept.push(() => waitingUsed);
  await new Promise((resolve) => resolvers.push(resolve));
}
async function ended() {
  const endedRows = response(0), endedUsed = {};
  (() => endedRows)();
  await null;
  kept.push(() => endedUsed);
}
function* generator() {
  const generatorRows = response(0), generatorUsed = {};
  (() => generatorRows)();
  kept.push(() => generatorUsed);
  yield 1;
}
function evaluates() {
  const evalRows = response(0), evalUsed = {};
  (() => evalRows)();
  kept.push(() => eval('evalUsed'));
}
function scoped() {
  const withRows = response(0), withUsed = {};
  (() => withRows)();
  with ({}) kept.push(() => withUsed);
}
function lent(argumentRows, argumentUsed) {
  (() => argumentRows)();
  kept.push(() => argumentUsed, arguments);
}
function looped() {
  for (const item of [1, 2, 3]) {
    const blockRows = response(item), blockUsed = {};
    (() => blockRows)();
    kept.push(() => [blockUsed, item]);
  }
}
function made() {
  const madeRows = response(0), madeUsed = {};
  (() => madeRows)();
  return () => () => () => madeUsed;
}
function fields() {
  const fieldRows = response(0), fieldUsed = {};
  (() => fieldRows)();
  return class { #own = fieldUsed; static none; get() { return this.#own; } };
}
function cleared() {
  let clearedRows = response(0); const clearedUsed = {};
  (() => clearedRows)();
  kept.push(() => clearedUsed);
  clearedRows = null;
}
function mended() {
  let mendedUsed;
  {
    const mendedRows = response(0);
    mendedUsed = (() => mendedRows.Items.length)();
  }
  kept.push(() => mendedUsed);
}
serve(20);
waiting();
ended();
const running = generator();
running.next();
evaluates(); scoped(); lent(response(0), {}); looped(); cleared(); mended();
kept.push(made(), fields());
"""
#: By design: V8 tells nothing of ``eval``, and what may be read another way counts as used.
EXPECTED = {"rows": 20, "endedRows": 1, "withRows": 1, "blockRows": 3, "madeRows": 1, "fieldRows": 1}


STOPPED = """\
<script>
const kept = [];
function stops(stop = true) {
  const rows = new Array(100).fill({}), used = {};
  (() => rows)();
  kept.push(() => used);
  if (stop) debugger;
  return rows;
}
stops(false);
</script>
"""


def take(session: CDPSession, file: Path) -> None:
    with file.open("w", encoding="utf-8", errors="surrogatepass") as stream:
        session.on("HeapProfiler.addHeapSnapshotChunk", lambda message: stream.write(message["chunk"]))
        session.send("HeapProfiler.enable")
        session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})


@pytest.fixture(scope="module")
def snapshots(browser, tmp_path_factory) -> list[Path]:
    """Three of one page, with twenty closures more in each."""
    folder = tmp_path_factory.mktemp("captured")
    (folder / "page.js").write_text(SCRIPT)
    (folder / "page.html").write_text('<!doctype html><script src="page.js"></script>')
    context = browser.new_context()
    page = context.new_page()
    page.goto((folder / "page.html").as_uri())
    files = []
    for number in range(3):
        if number:
            page.evaluate("serve(20)")
        files.append(folder / f"{number}.heapsnapshot")
        with files[-1].open("w", encoding="utf-8", errors="surrogatepass") as stream:
            session = context.new_cdp_session(page)
            session.on(
                "HeapProfiler.addHeapSnapshotChunk", lambda message, to=stream: to.write(message["chunk"])
            )
            session.send("HeapProfiler.enable")
            session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
            session.detach()
    context.close()
    return files


@pytest.fixture(scope="module")
def capture(snapshots, tmp_path_factory) -> Path:
    return fx.import_files(snapshots, tmp_path_factory.mktemp("imported") / "capture")


def test_what_only_dead_functions_used_is_told_and_nothing_else(snapshots):
    graph = formats.load(snapshots[0])
    found = [row for row in graph.unused_variables() if row.file.endswith("page.js")]
    assert {row.variable: row.contexts for row in found} == EXPECTED
    (rows,) = [row for row in found if row.variable == "rows"]
    line = SCRIPT.splitlines().index("function handler(n) {") + 1
    assert (rows.function, rows.line) == ("handler", line)
    assert found[0] == rows and graph.type_name(rows.example) == "Object"
    # Twenty responses of twenty items: each at least an object, and so are its attributes.
    assert rows.retained_bytes > 20 * 20 * 3 * 12
    assert graph.retained_sizes()[rows.example] * 20 == pytest.approx(rows.retained_bytes, rel=0.2)


def test_either_remedy_lets_it_go(snapshots):
    """Setting the variable to null, and a block of its own: nothing is left to be told, and no response either."""
    graph = formats.load(snapshots[0])
    names = captured(graph)
    assert {"clearedRows", "clearedUsed", "mendedUsed"} <= names.keys() and "mendedRows" not in names
    assert graph.type_name(names["clearedRows"]) == "null"


def test_the_capture_keeps_it(snapshots, capture):
    opened = fx.open(capture)
    graph = opened.snapshots[0]
    assert graph.unused.equals(formats.load(snapshots[0]).unused)
    assert graph.unused_variables() == formats.load(snapshots[0]).unused_variables()
    assert "snapshots/000/unused.arrow" in opened.manifest["files"]


def captured(graph: HeapGraph) -> dict[str, int]:
    """Captured variable -> what it refers to, in one of its contexts."""
    references = np.flatnonzero(graph.kinds == EdgeKind.CLOSURE).tolist()
    return {graph.label_text(e): int(graph.targets[e]) for e in references}


def line_of(text: str) -> int:
    """The line of the page's script that begins so."""
    return next(k for k, line in enumerate(SCRIPT.splitlines(), 1) if line.strip().startswith(text))


def test_paths_say_it(capture):
    graph = fx.open(capture).snapshots[-1]
    cheap = f"closure cheap (page.js:{line_of('function cheap')})"
    path = graph.paths_to_roots(captured(graph)["rows"])[0]
    assert path.expression == f"{cheap} · rows"
    assert str(path) == f"{cheap} · rows  (captured; no living function uses it)"
    assert "(captured; no living function uses it)" in path._repr_html_()
    path = graph.paths_to_roots(graph.children_by_key(captured(graph)["rows"])["Items"])[0]
    assert str(path) == f"{cheap} · rows.Items  (rows: captured; no living function uses it)"
    path = graph.paths_to_roots(captured(graph)["used"])[0]
    assert str(path) == path.expression == f"{cheap} · used"


def test_the_verbs_say_it(capture):
    said = {verb: CliRunner().invoke(app, [verb, str(capture)]).output for verb in ("show", "chains")}
    row = f"60 rows handler (page.js:{line_of('function handler')})"
    assert row in " ".join(said["show"].split())
    assert "rows (captured; no living function uses it) → 60 × response" in said["chains"]
    assert "waitingRows → response" in said["chains"]
    told = json.loads(CliRunner().invoke(app, ["findings", str(capture), "--json"]).output)
    (finding,) = [each for each in told["findings"] if each["retainer"]["path"].endswith("· rows")]
    assert (finding["rule"], finding["retainer"]["kind"], finding["objects"]) == ("L09", "closure", 60)
    hanging = f"60 of 60 hang from rows of handler (page.js:{line_of('function handler')})"
    assert any(line.startswith(hanging) for line in finding["evidence"])
    assert "null" in finding["remediation"]["summary"] and "block" in finding["remediation"]["code"]
    assert finding["retainer"]["chain"][0].endswith("· rows  (captured; no living function uses it)")


def test_no_way_of_using_a_variable_is_overlooked(browser, tmp_path):
    page_of_uses = Path(__file__).with_name("captured_uses.html")
    context = browser.new_context()
    page = context.new_page()
    troubles: list[object] = []
    page.on("pageerror", lambda error: troubles.append(error))
    page.goto(page_of_uses.as_uri())
    page.wait_for_function("finished === 2")
    take(context.new_cdp_session(page), tmp_path / "uses.heapsnapshot")
    context.close()
    graph = formats.load(tmp_path / "uses.heapsnapshot")
    names = set(re.findall(r"\bused[A-Z]\w+", page_of_uses.read_text()))
    assert not troubles and len(names) > 40
    assert len(names & captured(graph).keys()) > 35  # eval's and the page's own are no captured ones
    assert not names & {graph.label_text(e) for e in graph.unused.column("reference").to_pylist()}


def test_a_function_that_still_runs_counts_as_using_what_it_captured(browser, tmp_path):
    # GIVEN a function stopped by the debugger between the death of one closure and its own use of the variable
    context = browser.new_context()
    page = context.new_page()
    page.set_content(STOPPED)
    session = context.new_cdp_session(page)
    stopped: list[dict] = []
    session.on("Debugger.paused", lambda message: stopped.append(message))
    session.send("Debugger.enable")
    session.send("Runtime.evaluate", {"expression": "setTimeout(stops, 0)"})
    while not stopped:
        session.send("Runtime.getHeapUsage")
    file = tmp_path / "stopped.heapsnapshot"
    take(session, file)
    session.send("Debugger.resume")
    context.close()
    # THEN nothing is said of it, and of the run before it all is said
    graph = formats.load(file)
    found = {row.variable: row.contexts for row in graph.unused_variables()}
    assert found["rows"] == 1
