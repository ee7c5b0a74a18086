"""The specimens and their helpers, on real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import psutil
import pytest

from forensics.specimens.load import Load
from forensics.specimens.moto import Moto
from forensics.specimens.program import Program, SpecimenError
from forensics.specimens.service import Service, express, fastapi
from tests.conftest import require

#: Says on SIGUSR2 how much V8 holds.
HEAP_PROBE = Path(__file__).parent / "programs" / "heap_probe.js"


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def resident(pid: int) -> int:
    return psutil.Process(pid).memory_info().rss


def specimen(name: str, variant: str):
    if name == "fastapi":
        return fastapi(variant)
    require("npm", "the Express specimen needs Node.js with npm")
    return express(variant)


@pytest.mark.parametrize("variant", ["leaking", "mended"])
@pytest.mark.parametrize("name", ["fastapi", "express"])
def test_every_route_answers(moto, name, variant):
    chosen = specimen(name, variant)
    with Service(chosen, moto) as service, httpx.Client(base_url=service.url, timeout=30) as http:
        listed = http.get("/customers/C00031/orders").json()
        assert listed
        order = http.get(f"/customers/C00031/orders/{listed[0]['order_id']}").json()
        assert order["total"] == listed[0]["total"]
        assert len(order["lines"]) == listed[0]["lines"]
        assert order["lines"][0]["title"] != order["lines"][0]["sku"], "titles come out of the catalogue"
        spending = http.get("/customers/C00031/spending?orders=2").json()
        assert spending["orders"] == 2
        assert http.get("/reports/revenue/11").json()["orders"] > 50
        assert http.get("/health").json() == {"products": 60}
        assert http.get("/customers/C00031/orders/none").status_code == 404


def test_the_leaking_express_service_keeps_answers_and_the_mended_one_does_not(moto):
    """By Node's own count after a collection, as the resident set of V8 follows the heap late."""
    require("npm", "the Express specimen needs Node.js with npm")
    growth = {}
    for variant in ("leaking", "mended"):
        probe = {"NODE_OPTIONS": f"--expose-gc --require={HEAP_PROBE}"}
        with Service(express(variant), moto, environment=probe) as service:
            with Load(service.url, orders=600, per_second=100) as load:
                load.wait_for(60)
                before = used_after_collection(service)
                load.wait_for(300)
                result = load.stop()
            growth[variant] = used_after_collection(service) - before
            assert (result.failed, result.failures) == (0, {})
    assert growth["leaking"] > 1_000_000
    assert growth["leaking"] > 3 * growth["mended"]


def used_after_collection(service: Service) -> int:
    """What V8 holds, bytes, told by the probe on SIGUSR2."""
    before = service.program.log(1)
    os.kill(service.pid, signal.SIGUSR2)
    service.program.wait_until(lambda: service.program.log(1) != before)
    return int(service.program.log(1).split()[1])


def test_the_leaking_service_grows_and_the_mended_one_does_not(moto):
    growth = {}
    for variant in ("leaking", "mended"):
        with Service(fastapi(variant), moto) as service, Load(service.url, orders=600, per_second=40) as load:
            load.wait_for(60)
            before = resident(service.pid)
            load.wait_for(260)
            growth[variant] = resident(service.pid) - before
            result = load.stop()
            assert (result.failed, result.failures) == (0, {})
            assert result.requests >= 260
    assert growth["leaking"] > 2_000_000
    assert growth["leaking"] > 2 * growth["mended"]


def test_failed_requests_are_counted_by_kind(moto, leaking_service):
    with Load(leaking_service.url, orders=600) as load:
        load.wait_for(5)
        leaking_service.stop()
        deadline = time.monotonic() + 20
        while load.failed < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        result = load.stop()
    assert result.failed >= 5
    assert sum(result.failures.values()) == result.failed
    assert "ConnectError" in result.failures
    assert "failed" in str(result) and "ConnectError" in str(result)


def test_a_port_in_use_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecimenError, match=f"Port {port} of 127.0.0.1 cannot be listened on") as caught:
            Moto(port)
    assert caught.value.data["port"] == port
    assert "free one" in str(caught.value)


def test_an_unknown_variant_is_said():
    with pytest.raises(SpecimenError, match="no variant 'broken'"):
        fastapi("broken")


def test_a_program_that_dies_tells_its_last_words():
    with (
        Program("a specimen", [sys.executable, "-c", "raise SystemExit('no table named Orders')"]) as program,
        pytest.raises(SpecimenError, match="ended with exit code 1") as caught,
    ):
        program.wait_until(lambda: False)
    assert "no table named Orders" in str(caught.value)


def test_a_program_that_is_not_ready_in_time_is_said():
    with Program("a specimen", [sys.executable, "-c", "import time; time.sleep(60)"]) as program:
        with pytest.raises(SpecimenError, match="was not ready after 0 seconds"):
            program.wait_until(lambda: False, seconds=0.2)
        pid = program.pid
    assert gone(pid)


def test_a_program_that_is_not_there_is_said():
    with pytest.raises(SpecimenError, match="cannot be started"):
        Program("a specimen", ["no-such-program-anywhere"])


def test_stop_ends_what_ignores_sigterm_and_what_it_started():
    stubborn = textwrap.dedent("""
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    program = Program("a specimen", [sys.executable, "-c", stubborn], capture_output=True)
    grandchild = int(program.output.readline())
    program.stop(grace=0.3)
    assert gone(program.pid)
    assert gone(grandchild)


def test_programs_end_when_their_parent_is_killed():
    parent_code = textwrap.dedent("""
        import sys, time
        from forensics.specimens.program import Program
        program = Program("a specimen", [sys.executable, "-c", "import time; time.sleep(60)"])
        print(program.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(child)
