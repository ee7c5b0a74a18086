"""Arrow columns without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from forensics import arrow


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3], pa.int32()),
        ([1, None, 3], pa.int64()),
        ([None] * 9 + [1.5], pa.float64()),
        (["", "é", None, "x" * 100], pa.string()),
        (["a"], pa.large_string()),
        ([], pa.string()),
        ([], pa.uint8()),
        ([None], pa.large_string()),
    ],
)
def test_the_same_as_pyarrows_own(values, kind):
    made = arrow.column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


def test_an_array_becomes_a_column_and_comes_back_without_a_copy():
    values = np.arange(10, dtype=np.int64)
    column = arrow.column(values, pa.int64())
    back = arrow.numbers(column)
    assert np.shares_memory(values, back)
    assert arrow.numbers(column.slice(3, 4)).tolist() == [3, 4, 5, 6]
    assert arrow.numbers(pa.chunked_array([column, column.slice(9)])).tolist() == [*range(10), 9]
    assert arrow.numbers(pa.chunked_array([], pa.int16())).dtype == np.int16


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["one"], pa.int32()), ([1], pa.string()), ([1 << 40], pa.int32()), (np.array([1.5]), pa.int64())],
)
def test_values_of_another_kind_are_refused(values, kind):
    with pytest.raises((TypeError, ValueError, OverflowError, AttributeError)):
        arrow.column(values, kind)


def test_entries_without_a_number_are_no_numbers():
    with pytest.raises(ValueError, match="1 of 2 entries"):
        arrow.numbers(pa.array([1, None]))


def test_a_table_has_the_schemas_order():
    schema = pa.schema([("name", pa.string()), ("size", pa.int64())])
    made = arrow.table({"size": [1, None], "name": ["a", "b"]}, schema)
    assert made.schema == schema
    assert made.to_pylist() == [{"name": "a", "size": 1}, {"name": "b", "size": None}]


def test_neither_a_capture_nor_a_look_at_it_imports_pandas(tmp_path):
    code = """
import sys
import forensics as fx
from forensics.acquisition import capture
from forensics.heap import diff
taken = capture(int(sys.argv[1]), to=sys.argv[2], snapshots=2, every=0.1)
graphs = list(fx.open(sys.argv[2]).snapshots)
held = list(graphs[-1].holders())
diff(graphs)
print(len(graphs), len(held), len(graphs[-1].paths_to_roots(held[0].object)), "pandas" in sys.modules)
"""
    program = "KEEP = [{'Items': [str(i)] * 9} for i in range(9999)]; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout.readline() == "ready\n"
        done = subprocess.run(
            [sys.executable, "-c", code, str(service.pid), str(tmp_path / "capture")],
            capture_output=True,
            text=True,
        )
        service.stdin.close()
    assert done.returncode == 0, done.stderr
    snapshots, held, paths, pandas = done.stdout.split()
    assert (snapshots, pandas) == ("2", "False")
    assert int(held) and int(paths)
