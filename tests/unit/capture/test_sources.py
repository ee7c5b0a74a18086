"""The index of the application's source: what it records, what it leaves out, and what cannot hurt it."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from forensics.capture import sources
from forensics.capture.source_lines import WHEN_TOO_LARGE


def indexed(tmp_path: Path, code: str, module: str = "orders.api"):
    file = tmp_path / "srv" / "app" / "api.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(code))
    return sources.index(tmp_path, [(module, "/srv/app/api.py")]).to_pandas()


def rows(frame, kind):
    return [(row.scope, row.name, row.line, row.detail) for row in frame.itertuples() if row.kind == kind]


def test_definitions_of_every_kind(tmp_path):
    frame = indexed(
        tmp_path,
        """\
        CACHE = {}
        PAGES: list = []
        class Repository:
            seen = set()
            def __init__(self):
                self.rows = []
        def fetch(key, _memo={}):
            def inner():
                pages.append(key)
            pages = []
            return inner
        @lru_cache(maxsize=None)
        def load(key): ...
        app.state.exports = {}
        """,
    )
    assert rows(frame, "define") == [
        ("", "CACHE", 1, "CACHE = dict"),
        ("", "PAGES", 2, "PAGES = list"),
        ("Repository", "seen", 4, "seen = set()"),
        ("Repository.__init__", "rows", 6, "self.rows = list"),
        ("", "fetch", 7, "fetch(_memo=dict), a default made once"),
        ("fetch", "_memo", 7, "fetch(_memo=dict), a default made once"),
        ("fetch", "pages", 10, "pages = list"),
        ("", "load", 13, "load decorated lru_cache(maxsize=None)"),
        ("", "exports", 14, "app.state.exports = dict"),
    ]
    assert rows(frame, "fill") == [("fetch.<locals>.inner", "pages", 9, "pages.append()")]
    assert rows(frame, "clear") == []
    assert frame.text[0] == "CACHE = {}"
    assert set(frame.module) == {"orders.api"}
    assert set(frame.file) == {"/srv/app/api.py"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("X[k] = v", "X"),
        ("X.append(v)", "X"),
        ("x.y.add(v)", "y"),
        ("X.setdefault(k, []).append(v)", "X"),
        ("X.update(v)", "X"),
        ("X.put(v)", "X"),
        ("x.y += [v]", "y"),
        ("x.rows[k].append(v)", "rows"),
        ("TRAIL.get().append(v)", "TRAIL"),
        ("request.state.orders = v", "orders"),
    ],
)
def test_fills(tmp_path, line, name):
    frame = indexed(tmp_path, f"def f(v, k):\n    {line}\n")
    assert ("f", name, 2) in [each[:3] for each in rows(frame, "fill")]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("X.pop(k)", "X"),
        ("X.clear()", "X"),
        ("X.popitem(last=False)", "X"),
        ("del x.y[:-20]", "y"),
        ("x.y = deque(maxlen=20)", "y"),
        ("X = queue.Queue(maxsize=10)", "X"),
    ],
)
def test_clears(tmp_path, line, name):
    frame = indexed(tmp_path, f"def f(v, k):\n    {line}\n")
    assert ("f", name, 2) in [each[:3] for each in rows(frame, "clear")]


@pytest.mark.parametrize("bound", ["None", "0", "20 if SMALL else None"])
def test_a_bound_that_may_be_none_is_no_bound(tmp_path, bound):
    assert rows(indexed(tmp_path, f"X = deque(maxlen={bound})\n"), "clear") == []


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("d.query(TableName='Orders', IndexName='by-day')", 'Query TableName="Orders" IndexName="by-day"'),
        ("T = os.environ.get('T', 'Orders')\nd.scan(TableName=T)", 'Scan TableName="Orders"'),
        ("class S:\n    TABLE = 'Orders'\nd.scan(TableName=S.TABLE)", 'Scan TableName="Orders"'),
        ("table = r.Table('Orders')\ntable.get_item(Key=k)", 'GetItem TableName="Orders"'),
        ("def table():\n    return r.Table('Orders')\ntable().scan()", 'Scan TableName="Orders"'),
        ("def make(name):\n    t = r.Table(name)\n    t.scan()\nmake('Orders')", 'Scan TableName="Orders"'),
        ("p = d.get_paginator('scan')\np.paginate(TableName='Orders')", "Scan"),
        (
            "s = 'SELECT * FROM Orders'\nd.execute_statement(Statement=s)",
            'ExecuteStatement TableName="Orders"',
        ),
        ("d.batch_get_item(RequestItems={'Orders': {}})", 'BatchGetItem TableName="Orders"'),
        (
            "d.transact_get_items(TransactItems=[{'Get': {'TableName': 'Orders', 'Key': k}} for k in keys])",
            'TransactGetItems TableName="Orders"',
        ),
        (
            "d.execute_transaction(TransactStatements=[{'Statement': 'SELECT * FROM \"Orders\"'}])",
            'ExecuteTransaction TableName="Orders"',
        ),
        ("d.transact_write_items(TransactItems=items)", "TransactWriteItems"),
        ("async def f():\n    await d.scan(TableName='Orders')", 'Scan TableName="Orders"'),
        ("d.scan(TableName=unknown)", "Scan"),
    ],
)
def test_calls_and_the_tables_they_name(tmp_path, code, call):
    frame = indexed(tmp_path, code)
    assert call in [detail for _, _, _, detail in rows(frame, "call")]


def test_a_constant_of_another_module_is_followed(tmp_path):
    (tmp_path / "config.py").write_text("ORDERS = 'Orders'\n")
    (tmp_path / "db.py").write_text("from config import ORDERS\nd.scan(TableName=ORDERS)\n")
    frame = sources.index(tmp_path, [("config", "/config.py"), ("db", "/db.py")]).to_pandas()
    assert 'Scan TableName="Orders"' in set(frame.detail)


def test_only_application_files_are_read():
    stdlib = os.path.dirname(os.__file__)
    files = [
        ("json", f"{stdlib}/json/__init__.py"),
        ("boto3", "/opt/venv/lib/python3.12/site-packages/boto3/__init__.py"),
        ("apt", "/usr/lib/python3/dist-packages/apt/__init__.py"),
        ("forensics.tracing", "/opt/forensics/tracing.py"),
        ("forensics.specimens.orders", "/opt/forensics/specimens/orders.py"),
        ("native", "/srv/app/native.so"),
        ("orders.api", "/srv/app/orders/api.py"),
    ]
    assert [module for module, _ in sources.application_files(files)] == [
        "forensics.specimens.orders",
        "orders.api",
    ]


def test_nothing_is_imported_or_run(tmp_path):
    frame = indexed(
        tmp_path, "import pathlib\npathlib.Path('ran').touch()\nX = {}\n", module="never_import_me"
    )
    assert "never_import_me" not in sys.modules
    assert not Path("ran").exists()
    assert [row[1] for row in rows(frame, "define")] == ["X"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02X = {}",
        b"\xff\xfe\xfa = {}",
        b"# coding: rot13\nX = {}",
        b"# coding: no-such-codec\nX = {}",
        b"def broken(:\n",
        b"(" * 100_000,
        b"x = " + b"-" * 100_000 + b"1",
        b"x" + b".a" * 50_000,
        b"X = {}\n" * 400_000,
    ],
    ids=["nul", "not-utf8", "rot13", "codec", "syntax", "parentheses", "unary", "attributes", "huge"],
)
def test_hostile_files_are_left_out_and_the_rest_is_read(tmp_path, content):
    (tmp_path / "bad.py").write_bytes(content)
    (tmp_path / "good.py").write_text("X = {}\n")
    begun = time.monotonic()
    frame = sources.index(tmp_path, [("bad", "/bad.py"), ("good", "/good.py")]).to_pandas()
    assert "good" in set(frame.module)
    assert len(frame) <= sources.MAX_ROWS
    assert time.monotonic() - begun < 20


def test_files_that_are_not_files_or_not_there(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    names = ["pipe", "folder", "loop", "absent"]
    assert sources.index(tmp_path, [(name, f"/{name}.py") for name in names]).num_rows == 0


def test_links_stay_inside_the_targets_root(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside.py"
    root.mkdir()
    outside.write_text("SECRET = {}\n")
    (root / "real.py").write_text("INSIDE = {}\n")
    (root / "absolute.py").symlink_to("/real.py")
    (root / "escape.py").symlink_to("../../../../../outside.py")
    (root / "escape2.py").symlink_to(str(outside))
    frame = sources.index(root, [(n, f"/{n}.py") for n in ("absolute", "escape", "escape2")]).to_pandas()
    assert list(frame.name) == ["INSIDE"]


def test_too_many_rows_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_ROWS", 10)
    assert len(indexed(tmp_path, "X = {}\n" * 50)) == 10


def test_nothing_to_read_gives_an_empty_table_of_the_same_columns(tmp_path):
    table = sources.index(tmp_path, [])
    assert table.schema == sources.SCHEMA
    assert table.num_rows == 0


def test_what_empties_only_what_has_grown_too_large_is_told_from_what_empties(tmp_path: Path) -> None:
    frame = indexed(
        tmp_path,
        """
        CACHE, PENDING = {}, {}

        def put(key, value, limit):
            CACHE[key] = value
            while len(CACHE) > limit:
                CACHE.popitem()

        def done(key, worked):
            if worked:
                PENDING.pop(key)
            if 100 <= len(CACHE):
                del CACHE[key]
        """,
    )
    clears = frame[frame["kind"] == "clear"]
    bounded = {row.text: row.detail.endswith(WHEN_TOO_LARGE) for row in clears.itertuples()}
    assert bounded == {"CACHE.popitem()": True, "PENDING.pop(key)": False, "del CACHE[key]": True}


@pytest.mark.parametrize(
    ("command_line", "packages"),
    [
        ("/venv/bin/python /venv/bin/uvicorn shop.app:app --host 127.0.0.1 --port 8000", {"shop"}),
        (
            "/venv/bin/python /venv/bin/gunicorn -k uvicorn.workers.UvicornWorker shop:create() -b x.y:80",
            {"shop"},
        ),
        ("python3.12 -m shop.worker --queue orders", {"shop"}),
        ("python3 -m uvicorn shop.app:api.asgi --bind localhost:8000 --bind unix:/run/s", {"shop"}),
        ("python3 -m uvicorn --factory", set()),
        ("python3 app.py -m", set()),
        ("/usr/bin/node -m shop", set()),
        ("", set()),
    ],
)
def test_the_package_that_a_command_line_starts(command_line, packages):
    assert sources.started(command_line.split()) == packages


def test_an_installed_package_that_was_started_is_the_application():
    installed = "/venv/lib/python3.12/site-packages"
    modules = [
        ("shop.db", f"{installed}/shop/db.py"),
        ("__main__", f"{installed}/shop/__main__.py"),
        ("boto3.session", f"{installed}/boto3/session.py"),
        ("json", "/usr/lib/python3.12/json/__init__.py"),
    ]
    named = sources.application_files(modules, frozenset({"shop", "json"}))
    assert [module for module, _ in named] == ["__main__", "shop.db"]
    assert sources.application_files(modules) == []
