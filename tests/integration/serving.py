"""A uvicorn service with a heap of responses, and clients that ask it as fast as it answers: for tests and benchmarks.

The clients keep their connections open as wrk does, one request at a time on each; they run in a process of their own,
which tells how long each answer took and how many there were not. A connection that breaks is a failed request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

APPLICATION = """
import json

RESPONSES = {
    f"query-{n}": {
        "Items": [{"pk": {"S": f"CUSTOMER#{n}"}, "total": {"N": str(i)}, "n": [i, float(n)]} for i in range(25)],
        "Count": 25,
    }
    for n in range(1200)
}
TURN = 0


async def application(scope, receive, send):
    global TURN
    if scope["type"] != "http":
        return
    TURN += 1
    body = json.dumps(RESPONSES[f"query-{TURN % 1200}"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@dataclass(frozen=True)
class Service:
    """A served application: its port, its master and the processes that serve."""

    port: int
    master: int
    workers: tuple[int, ...]


@dataclass(frozen=True)
class Answers:
    """What the clients saw: the seconds each answer took, requests without a good one, and the reasons."""

    seconds: tuple[float, ...]
    failed: int
    reasons: tuple[str, ...]

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


@contextmanager
def served(command: Sequence[str], port: int, workers: int) -> Iterator[Service]:
    """Run ``command`` beside ``served.py`` until it answers on ``port`` with so many ``workers``."""
    with tempfile.TemporaryDirectory(prefix="forensics-test-") as folder:
        (Path(folder) / "served.py").write_text(APPLICATION)
        with (
            Path(folder, "log").open("w") as log,
            subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as master,
        ):
            try:
                yield Service(port, master.pid, _await_workers(master, port, workers, Path(folder, "log")))
            finally:
                family = psutil.Process(master.pid).children(recursive=True)
                master.terminate()
                try:
                    master.wait(10)
                except subprocess.TimeoutExpired:
                    for each in (*family, master):
                        each.kill()


def uvicorn(port: int, loop: str, workers: int) -> list[str]:
    """The command for uvicorn; with one worker there is no master."""
    many = ["--workers", str(workers)] if workers > 1 else []
    options = ["--loop", loop, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "served:application", *options, *many]


def _await_workers(master: subprocess.Popen[bytes], port: int, workers: int, log: Path) -> tuple[int, ...]:
    from forensics.capture.targets import inspect

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert master.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            found = inspect(master.pid).workers
        except OSError:
            found = ()
        else:
            if workers == 1:
                return (master.pid,)
            if len(found) == workers:
                return found
        time.sleep(0.1)
    raise AssertionError(f"the service did not come up: {log.read_text()}")


@contextmanager
def under_load(port: int, clients: int = 8) -> Iterator[list[Answers]]:
    """Ask until the block ends; the list then holds what the clients saw."""
    asking = subprocess.Popen(
        [sys.executable, str(Path(__file__)), str(port), str(clients)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen: list[Answers] = []
    try:
        yield seen
        out, _ = asking.communicate("stop\n", timeout=60)
        told = json.loads(out)
        seen.append(Answers(tuple(told["seconds"]), told["failed"], tuple(told["reasons"])))
    finally:
        if asking.poll() is None:
            asking.kill()
            asking.communicate()


async def _client(port: int, stop: asyncio.Event, seconds: list[float], reasons: list[str]) -> None:
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    reader = writer = None
    while not stop.is_set():
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(30):
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                if not head.startswith(b"HTTP/1.1 200") or not body.endswith(b"}"):
                    raise ValueError(head.decode())
        except (OSError, EOFError, ValueError, IndexError, TimeoutError) as error:
            reasons.append(repr(error))
            writer = None
            await asyncio.sleep(0.05)
        else:
            seconds.append(time.perf_counter() - begin)
    if writer is not None:
        writer.close()


async def _ask(port: int, clients: int) -> None:
    stop = asyncio.Event()
    seconds: list[float] = []
    reasons: list[str] = []
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, stop.set)
    await asyncio.gather(*(_client(port, stop, seconds, reasons) for _ in range(clients)))
    print(json.dumps({"seconds": seconds, "failed": len(reasons), "reasons": sorted(set(reasons))}))


if __name__ == "__main__":
    asyncio.run(_ask(int(sys.argv[1]), int(sys.argv[2])))
