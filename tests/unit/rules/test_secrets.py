"""Secrets in retained data: kinds, counts, how long kept, and never a value; in heaps and in a real process."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from heapbuilder import heap, metadata
from servicebuilder import evidence, namespace

from forensics.capture.take import Order, take
from forensics.investigation import open_capture
from forensics.rules import judge

SOURCE = "SESSIONS = {}\ndef session(client, n):\n    SESSIONS[n] = client.get_item(TableName='Sessions')\n"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_123"


def session(number: int) -> dict:
    values = {"session_id": f"s{number}", "token": f"{TOKEN}{number}", "mail": f"someone{number}@example.org"}
    return {
        "Item": {name: {"S": value} for name, value in values.items()},
        "ResponseMetadata": {**metadata(), "ForensicsTag": f"tag {number}"},
    }


@pytest.fixture
def snapshots():
    """Sessions that stay: ten more between each two snapshots, five seconds apart."""
    names, graphs = namespace(SOURCE), []
    for count in (10, 20, 30):
        names["SESSIONS"].update({n: session(n) for n in range(count - 10, count)})
        graphs.append(heap(orders__api=names))
    return names, graphs


def line_of(found) -> str:
    (finding,) = [each for each in found if each.severity != "info"]
    assert finding.rule == "L18" and "API3:2023" in finding.references.owasp
    return next(line for line in finding.evidence if "look like secrets" in line)


def test_kinds_counts_and_for_how_long(snapshots):
    _, graphs = snapshots
    said = line_of(judge(evidence(graphs)))
    assert "30 × JSON web token (the oldest for at least 10 s)" in said
    assert "30 × e-mail address (the oldest for at least 10 s)" in said


def test_another_value_at_the_same_address_is_not_the_same_secret(snapshots):
    _, graphs = snapshots
    graphs[0].value_hashes.setflags(write=True)
    graphs[0].value_hashes[:] += np.uint64(1)
    assert "at least 5 s" in line_of(judge(evidence(graphs)))


def test_what_just_came_says_no_time(snapshots):
    _, graphs = snapshots
    said = line_of(judge(evidence(graphs[-1:])))
    assert "30 × JSON web token" in said and "oldest" not in said


def test_the_tracer_knows_of_the_time_before_the_capture(snapshots):
    names, graphs = snapshots
    graphs[-1].meta["time"] = 10_000.0
    tags = [each["ResponseMetadata"]["ForensicsTag"] for each in names["SESSIONS"].values()]
    responses = pd.DataFrame(
        {
            "snapshot": 2,
            "tag_address": np.array([id(tag) for tag in tags], np.uint64),
            "operation": "GetItem",
            "tables": [["Sessions"]] * 30,
            "file": "api.py",
            "line": 3,
            "function": "session",
            "time": [10_000.0 - 2220 + n for n in range(30)],
            "context": None,
        }
    )
    assert "30 × JSON web token (the oldest for at least 37 min)" in line_of(
        judge(evidence(graphs, responses=responses))
    )


PROGRAM = """
import sys
SESSIONS = []
for line in sys.stdin:
    key, card, mail = line.strip().split("|")
    for _ in range(20):
        n = len(SESSIONS)
        SESSIONS.append({"Item": {"id": {"S": f"s{n}"}, "key": {"S": f"{key}{n + 100}"},
                                  "card": {"S": "".join(card)}, "mail": {"S": f"someone{n}{mail}"}},
                         "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200,
                                              "HTTPHeaders": {"x-amz-crc32": "1"}, "RetryAttempts": 0}})
    print("done", flush=True)
"""
SECRETS = ("AKIAIOSFODNN7EXAM", "4111 1111 1111 1111", "@mail.example.org")


def test_a_real_process_keeps_them_and_no_file_of_the_capture_holds_one(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    class EachRound:
        taken = 0

        def feed(self, sample):
            process.stdin.write("|".join(SECRETS) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            self.taken += 1
            return type("Decision", (), {"take": True, "reason": "round", "finished": self.taken == 3})()

        def took(self, size):
            pass

    try:
        order = Order(snapshots=0, trigger=EachRound(), watch=120, sample_every=1.2)
        folder = take(process.pid, tmp_path / "capture", order)
    finally:
        process.stdin.close()
        process.wait(10)
    capture = open_capture(folder)
    said = line_of(capture.findings())
    assert "60 × AWS access key id (the oldest for at least" in said and "60 × e-mail address" in said
    assert "payment card number" in said
    everything = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    everything += json.dumps(capture.findings().to_dict()).encode()
    for secret in SECRETS:
        assert secret.encode() not in everything
