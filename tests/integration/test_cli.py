"""Every verb as a new user meets it: its help, its exit code, its JSON, and bad input said in plain words."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from prometheus_client import CollectorRegistry, Counter, start_http_server

from forensics import cli
from forensics.capture import injector
from forensics.formats import loaders
from forensics.formats.importing import import_files
from forensics.investigation import open_capture
from forensics.lab import bundled_capture
from tests.conftest import require
from tests.integration.running import running

PROFILES = Path(__file__).parents[1] / "data" / "profiles"
VERBS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Forensics = Callable[..., Ran]


@pytest.fixture
def forensics(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Forensics:
    """``forensics("show", folder)``: the command line in this process, through the same entry as the program's."""

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["forensics", *map(str, words)])
        capfd.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code
        out, err = capfd.readouterr()
        return Ran(int(code or 0), out, err)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """leaking/ and mended/: copies, for judging writes into a capture. go/ and one/: profiles, two and one."""
    folder = tmp_path_factory.mktemp("captures")
    for variant in ("leaking", "mended"):
        shutil.copytree(bundled_capture(variant), folder / variant)
    import_files([PROFILES / f"go-{name}.pb.gz" for name in ("before", "after")], folder / "go")
    import_files([PROFILES / "jemalloc.heap"], folder / "one")
    return folder


# -- help ----------------------------------------------------------------------------------------------------------


def test_help_names_every_verb(forensics: Forensics) -> None:
    said = forensics("--help")
    assert said.code == 0
    assert re.findall(r"^  (\w+) {2,}\S", said.out.partition("Commands:")[2], re.MULTILINE) and all(
        re.search(rf"^  {verb} ", said.out, re.MULTILINE) for verb in VERBS
    )


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_of_a_verb_says_what_it_does(verb: str, forensics: Forensics) -> None:
    said = forensics(verb, "--help")
    assert said.code == 0 and said.out.startswith(f"Usage: forensics {verb}")
    command = typer.main.get_command(cli.app).commands[verb]  # type: ignore[attr-defined]
    silent = [each.name for each in command.params if each.param_type_name == "option" and not each.help]
    assert silent == []


def test_no_verb_shows_the_help_and_the_version_is_told(forensics: Forensics) -> None:
    assert forensics().code == 2 and "Commands:" in forensics().err
    assert re.fullmatch(r"forensics \d+\.\d+\S*\n", forensics("--version").out)


# -- what cannot be done -------------------------------------------------------------------------------------------

#: (words, what the message must say); ``{leaking}`` is a capture, ``{new}`` a folder that is not there yet
IMPOSSIBLE = [
    (("show", "/nonexistent"), "is not a capture: there is no such folder"),
    (("show", __file__), "a folder, but a file. Give the folder that"),
    (
        ("show", "{leaking}/.."),
        "it has no manifest.json. There are captures in it; give one of them: go, leaking",
    ),
    (("diff", "/nonexistent"), "is not a capture"),
    (("diff", "{leaking}", "--between", 0, 9), "has no snapshot 9"),
    (("diff", "{leaking}", "--between", 2, 0), "is the later one first"),
    (("diff", "{leaking}", "--between", 1, 1), "is the same moment twice"),
    (("diff", "{leaking}", "--between", 2, -1), "is the same moment twice"),
    (("diff", "{leaking}", "{mended}", "--between", 0, 1), "two snapshots of one capture"),
    (("diff", "{go}", "--between", 1, 0), "is the later one first"),
    (("diff", "{one}"), "holds allocation profiles and no object graph"),
    (("sql", "{go}", "SELECT 1"), "forensics report, forensics diff."),
    (("chains", "{go}"), "capture the running process with --chains"),
    (("chains", "{one}"), "forensics diff CAPTURE OTHER"),
    (("chains", "{leaking}", "--to", "banana"), "The kinds are response"),
    (("chains", "{leaking}", "--snapshot", 7), "has no snapshot 7"),
    (("findings", "/nonexistent"), "is not a capture"),
    (("verify", "{leaking}", "/nonexistent"), "is not a capture"),
    (("report", "{leaking}", "-o", "{new}.pdf"), "known are html, md, json, sarif"),
    (("report", "{leaking}", "-o", "{leaking}/manifest.json/x.html"), "cannot be written"),
    (("report", "{leaking}", "-o", "{new}/x.html"), "there is no folder"),
    (("report", "{leaking}", "-o", "{leaking}/manifest.json"), "is no report of ours"),
    (("report", "{leaking}", "-o", "/dev/null", "--format", "md"), "is not a plain file"),
    (("sql", "{leaking}", "DROP TABLE objects"), "must be one SELECT"),
    (("sql", "{leaking}", "SELECT nope FROM objects"), "nope"),
    (("lab", "/nonexistent"), "is not a capture"),
    (("import", "/nonexistent", "--to", "{new}"), "/nonexistent does not exist"),
    (("import", "{leaking}", "--to", "{new}"), "is not a file"),
    (("import", __file__, "--to", "{new}"), "These can be read: "),
    (("capture", "banana"), "is neither a process id nor the URL of a pprof endpoint"),
    (("capture", 999999999), "There is no process 999999999"),
    (("capture", 1, "--values", "some"), "is not one of masked, full, none"),
    (("capture", 1, "--when", "rss > banana"), "cannot be read"),
    (("capture", 1, "--snapshots", 0), "nothing to capture"),
    (("capture", 1, "--requests", "banana"), "--requests 'banana' names no counter"),
    (("capture", 1, "--requests", "http://127.0.0.1:1/metrics#http_requests_total"), "did not answer"),
    (("capture", 999999999, "--dry-run"), "There is no process 999999999"),
]


@pytest.mark.parametrize(("words", "said"), IMPOSSIBLE, ids=lambda value: " ".join(map(str, value))[:40])
def test_what_cannot_be_done_ends_with_3_and_says_why(
    words: tuple[object, ...], said: str, forensics: Forensics, captures: Path, tmp_path: Path
) -> None:
    places = {each: captures / each for each in ("leaking", "mended", "go", "one")} | {
        "new": tmp_path / "new"
    }
    ran = forensics(*(str(word).format(**places) for word in words))
    assert ran.code == 3
    text = " ".join(ran.err.split())
    assert text.startswith("error: ") and said in text
    assert "Traceback" not in ran.err and ran.out == ""
    assert len(ran.err.strip().splitlines()) >= 2, "it does not say what to do"
    assert not (tmp_path / "new").exists()


#: wrong usage, which is told from what cannot be done
WRONG = [
    ("banana",),
    ("show",),
    ("show", "{leaking}", "--limit", -3),
    ("findings", "{leaking}", "--fail-on", "terrible"),
    ("capture", 1, "--snapshots", -1),
    ("capture", 1, "--every", "soon"),
    ("import", "x.bin"),
    ("verify", "{leaking}"),
    ("sql", "{leaking}"),
]


@pytest.mark.parametrize("words", WRONG, ids=lambda value: " ".join(map(str, value))[:40])
def test_wrong_usage_ends_with_2(words: tuple[object, ...], forensics: Forensics, captures: Path) -> None:
    ran = forensics(*(str(word).format(leaking=captures / "leaking") for word in words))
    assert ran.code == 2 and "Usage:" in ran.err and "Traceback" not in ran.err


# -- what is printed -----------------------------------------------------------------------------------------------


def test_show(forensics: Forensics, captures: Path) -> None:
    shown = forensics("show", captures / "leaking", "--limit", 3)
    assert shown.code == 0
    for label in ("process", "snapshot 2", "growth", "values"):
        assert re.search(rf"^{label} +\S", shown.out, re.MULTILINE), label
    record = forensics("show", captures / "leaking", "--limit", 3, "--json").json
    assert {"manifest", "growth", "types", "holders", "dynamodb"} <= set(record)
    assert len(record["types"]) == 3 and record["growth"]["shape"]


def test_diff_and_chains(forensics: Forensics, captures: Path) -> None:
    rows = forensics("diff", captures / "leaking", "--json")
    assert rows.code == 0 and any("RESPONSES" in json.dumps(row) for row in rows.json)
    assert "RESPONSES" in forensics("diff", captures / "leaking", "--between", 0, 2).out
    chains = forensics("chains", captures / "leaking", "--to", "response", "--json")
    assert chains.code == 0 and {"nodes", "edges"} <= set(chains.json)
    assert forensics("chains", captures / "leaking", "--dot").out.startswith("digraph")


def test_findings_and_their_exit_code(forensics: Forensics, captures: Path) -> None:
    judged = forensics("findings", captures / "leaking", "--json")
    assert judged.code == 0
    record = judged.json
    assert record["schema"] == "forensics.findings/1" and record["snapshots"] == 3
    worst = record["findings"][0]
    assert worst["retainer"]["path"] == "orders.api.RESPONSES" and worst["retainer"]["line"] > 0
    assert forensics("findings", captures / "leaking", "--fail-on", "high").code == 1
    assert forensics("findings", captures / "mended", "--fail-on", "low").code == 0


def test_the_command_in_the_evidence_can_be_pasted_into_a_shell(
    forensics: Forensics, captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path stays as it was given, and is quoted."""
    (tmp_path / "it's $HOME").symlink_to(captures)
    monkeypatch.chdir(tmp_path)
    judged = forensics("findings", "it's $HOME/leaking", "--json").json
    command = judged["findings"][0]["evidence"][-1].removeprefix("check: ")
    assert judged["capture"] == "leaking"
    assert shlex.split(command)[:3] == ["forensics", "sql", "it's $HOME/leaking"]
    forensics("report", "it's $HOME/leaking", "-o", "report.md")
    assert f"- Check: `{command}`\n" in Path("report.md").read_text()
    program = f'forensics() {{ {shlex.quote(sys.executable)} -m forensics.cli "$@"; }}; {command}'
    ran = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and f"{judged['findings'][0]['objects']}" in ran.stdout, ran.stderr


def test_verify_and_its_exit_code(forensics: Forensics, captures: Path) -> None:
    mended = forensics("verify", captures / "leaking", captures / "mended", "--json")
    assert mended.code == 0 and isinstance(mended.json, dict)
    same = forensics("verify", captures / "leaking", captures / "leaking")
    assert same.code == 1 and same.out.strip()


@pytest.mark.parametrize("suffix", ["html", "md", "json", "sarif"])
def test_report_by_suffix(suffix: str, forensics: Forensics, captures: Path, tmp_path: Path) -> None:
    file = tmp_path / f"out.{suffix}"
    ran = forensics("report", captures / "leaking", "-o", file)
    assert ran.code == 0 and ran.out.strip() == str(file)
    text = file.read_text()
    assert "RESPONSES" in text
    if suffix in ("json", "sarif"):
        json.loads(text)


def test_report_to_standard_output(
    forensics: Forensics, captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = forensics("report", captures / "go", "-o", "-", "--format", "md")
    assert said.code == 0 and said.out.startswith("# Memory report: go")
    assert forensics("report", captures / "go", "-o", "-").out.endswith("</html>\n")
    assert list(tmp_path.iterdir()) == []


def test_report_replaces_another_file_by_force_only(
    forensics: Forensics, captures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notes.md"
    file.write_text("my own work")
    assert forensics("report", captures / "go", "-o", file).code == 3
    assert file.read_text() == "my own work"
    assert forensics("report", captures / "go", "-o", file, "--force").code == 0
    assert forensics("report", captures / "one", "-o", file).code == 0
    assert file.read_text().startswith("# Memory report: one")


def test_findings_say_how_many_of_what_was_judged(forensics: Forensics, captures: Path) -> None:
    assert forensics("findings", captures / "one").out == "No findings in one (1 profile).\n"
    assert forensics("findings", captures / "mended").out.endswith("(3 snapshots).\n")


def test_import_names_every_kind_of_file(forensics: Forensics) -> None:
    said = forensics("import", "--help").out
    for loader in loaders():
        assert re.search(rf"^  {loader.name} +\S", said, re.MULTILINE), loader.name
    assert ".heapsnapshot" in said and "grf" in said


_TIMERS = """
function serve(n) {
  const response = { $metadata: { httpStatusCode: 200, requestId: "R" + n, attempts: 1, totalRetryDelay: 0 },
    Count: 1, ScannedCount: 1,
    Items: [{ pk: { S: `order-${n}` }, sk: { N: `${n}` }, note: { S: `text ${n}`.repeat(9) } }] };
  setInterval(() => response.Count, 1e6);
}
for (let n = 0; n < 120; n++) serve(n);
require("node:v8").writeHeapSnapshot("one.heapsnapshot");
for (let n = 0; n < 90; n++) serve(n + 200);
require("node:v8").writeHeapSnapshot("two.heapsnapshot");
process.exit(0);
"""


def test_the_check_of_what_closures_hold_finds_what_they_hold(
    forensics: Forensics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each closure has a context of its own: only the roots have all of them below."""
    monkeypatch.chdir(tmp_path)
    Path("timers.js").write_text(_TIMERS)
    subprocess.run([require("node", "it writes the snapshots"), "timers.js"], check=True, timeout=300)
    made = forensics("import", "one.heapsnapshot", "two.heapsnapshot", "--to", "timers")
    assert made.code == 0, made.err
    held = [
        each for each in forensics("findings", "timers", "--json").json["findings"] if each["objects"] == 210
    ]
    assert held
    command = shlex.split(held[0]["evidence"][-1].removeprefix("check: "))
    assert command[:2] == ["forensics", "sql"]
    rows = forensics(*command[1:], "--json").json
    assert [row["elements"] for row in rows] == [210], command


def test_a_capture_of_another_user_is_not_called_damaged(forensics: Forensics, captures: Path) -> None:
    """Root reads everything: there this goes on as nobody, below a folder that nobody may enter."""
    forensics("show", "/nonexistent")  # what is imported on the way may lie where nobody may read
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        folder = Path(shutil.copytree(captures / "go", Path(above, "go")))
        profile = next(folder.glob("allocations/*"))
        for closed, named in ((profile, profile), (folder / "manifest.json", folder / "manifest.json")):
            for each in (folder, folder / "allocations"):
                each.chmod(0o755)
            for each in folder.rglob("*.*"):
                each.chmod(0o644)
            closed.chmod(0o600 if os.geteuid() == 0 else 0o000)
            owner = pwd.getpwuid(os.geteuid()).pw_name
            ran = _as_nobody(lambda: forensics("show", folder))
            text = " ".join(ran.err.split())
            assert ran.code == 3 and f"{named} may not be read by" in text.replace("\n", ""), ran.err
            assert f"it belongs to {owner}" in text and "damaged" not in text
            assert "chown" in text or "chmod" in text


def _as_nobody(run: Callable[[], Ran]) -> Ran:
    if os.geteuid() != 0:
        return run()
    os.seteuid(65534)
    try:
        return run()
    finally:
        os.seteuid(0)


# -- the lab ---------------------------------------------------------------------------------------------------------


def _lab(folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """``forensics lab`` in ``folder``, in a session of its own, what it says in ``said``."""
    own = {f"JUPYTER_{each}_DIR": str(folder / each.lower()) for each in ("CONFIG", "DATA", "RUNTIME")}
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "forensics.cli", "lab"],
            cwd=folder,
            env={**os.environ, **own, "BROWSER": "true", **variables},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def test_the_lab_starts_for_whoever_calls_it(tmp_path: Path) -> None:
    """Root too: the server is behind a token, on this machine only."""
    lab, said = _lab(tmp_path), tmp_path / "said"
    try:
        until = time.monotonic() + 180
        while not re.search(r"http://127\.0\.0\.1:\d+/lab/\S+token=", said.read_text()):
            assert lab.poll() is None and time.monotonic() < until, said.read_text()
            time.sleep(0.3)
        (server,) = psutil.Process(lab.pid).children()
        lab.terminate()
        lab.wait(60)
        assert not server.is_running()  # it goes with the one that started it
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(lab.pid, signal.SIGKILL)
    assert ("as root" in said.read_text()) == (os.geteuid() == 0)
    assert (tmp_path / "forensics-notebooks" / "00_start_here.ipynb").is_file()


def test_a_lab_that_cannot_start_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    lab = _lab(tmp_path, JUPYTER_RUNTIME_DIR=str(tmp_path / "file" / "runtime"))
    assert lab.wait(180) == 3
    assert "error: JupyterLab ended with an error" in (tmp_path / "said").read_text()


def test_the_lab_says_where_its_notebooks_go(forensics: Forensics) -> None:
    assert "./forensics-notebooks" in forensics("lab", "--help").out


def test_sql(forensics: Forensics, captures: Path) -> None:
    query = "SELECT type, count(*) AS n FROM objects GROUP BY type ORDER BY n DESC LIMIT 2"
    rows = forensics("sql", captures / "leaking", query, "--json")
    assert rows.code == 0 and len(rows.json) == 2 and rows.json[0]["n"] > rows.json[1]["n"]
    assert "type" in forensics("sql", captures / "leaking", query, "--snapshot", 0).out


def test_import_and_show_of_what_has_no_process(forensics: Forensics, tmp_path: Path) -> None:
    files = [PROFILES / f"go-{name}.pb.gz" for name in ("before", "after")]
    made = forensics("import", *files, "--to", tmp_path / "go", "--json")
    assert made.code == 0 and made.json["runtime"] == "go" and made.json["growth"] is None
    shown = forensics("show", tmp_path / "go")
    assert shown.code == 0 and "None" not in shown.out
    assert re.search(r"^process +go$", shown.out, re.MULTILINE)
    assert forensics("findings", tmp_path / "go", "--json").json["snapshots"] == 2


def test_targets(forensics: Forensics) -> None:
    with running("collector") as process:
        rows, table = forensics("targets", "--json"), forensics("targets")
        process.finish()
    assert rows.code == table.code == 0
    assert process.pid in [row["pid"] for row in rows.json["targets"]]
    assert str(process.pid) in table.out


@pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")
def test_capture_watches_and_says_what_the_series_is(forensics: Forensics, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    served = Counter("served", "Requests.", registry=registry)
    served.inc(41)
    page, _ = start_http_server(0, "127.0.0.1", registry)
    metric = f"http://127.0.0.1:{page.server_port}/metrics#served_total"
    with running("collector") as process:
        cost = forensics("capture", process.pid, "--dry-run", "--json")
        assert cost.code == 0 and cost.json
        assert not list(tmp_path.iterdir())
        folder = tmp_path / "capture"
        taken = forensics("capture", process.pid, "--watch", 3, "--requests", metric, "--to", folder)
    page.shutdown()
    page.server_close()
    assert taken.code == 0
    assert set(open_capture(folder).process["requests"].dropna()) == {41}
    assert re.search(
        r"^growth +of the resident set: cannot tell yet, watch for \d+ seconds in all$",
        taken.out,
        re.MULTILINE,
    )
    assert forensics("show", folder, "--json").json["growth"]["watch_for"] >= 30


def test_a_dependency_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], captures: Path
) -> None:
    """As after an update of the clone, before ``make`` was run again."""
    from forensics import cli

    monkeypatch.setitem(sys.modules, "xxhash", None)
    monkeypatch.delitem(sys.modules, "forensics.heap.results", raising=False)
    monkeypatch.setattr(sys, "argv", ["forensics", "findings", str(captures / "leaking")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = " ".join(capfd.readouterr().err.split())
    assert ended.value.code == 3
    assert "xxhash is not installed. Install this version's dependencies" in said
