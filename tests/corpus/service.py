"""One service of the corpus as a process of its own, driven tick by tick."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

import httpx

from forensics.specimens.program import Program, free_port
from tests.corpus.cases import SERVICES, Case


class RunningCase:
    """A started case: its pid, and ``tick(count)`` which returns once the service has answered all of them."""

    def __init__(self, case: Case, pid: int) -> None:
        self.case = case
        self.pid = pid
        self.done = 0

    def tick(self, count: int) -> None:
        """Let the service do ``count`` requests or jobs, one after the other."""
        for _ in range(count):
            self._one(self.done)
            self.done += 1

    def _one(self, number: int) -> None:
        raise NotImplementedError


class _Web(RunningCase):
    def __init__(self, case: Case, pid: int, client: httpx.Client) -> None:
        super().__init__(case, pid)
        self.client = client

    def _one(self, number: int) -> None:
        method, path = self.case.drive.format(n=number, customer=f"c{number % 60:02d}").split(" ", 1)
        self.client.request(method, path).raise_for_status()


class _Worker(RunningCase):
    def __init__(self, case: Case, process: subprocess.Popen[str], log) -> None:
        super().__init__(case, process.pid)
        self.process = process
        self.log = log

    def _one(self, number: int) -> None:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer != "done\n":
            self.log.seek(0)
            raise RuntimeError(
                f"{self.case.name} did not finish job {number}: {answer!r}\n{self.log.read()[-2000:]}"
            )


@contextlib.contextmanager
def running(case: Case, environment: Mapping[str, str]) -> Iterator[RunningCase]:
    """Start the case with these variables, wait until it answers, end it with the block."""
    with _web(case, environment) if case.run == "uvicorn" else _worker(case, environment) as service:
        yield service


@contextlib.contextmanager
def _web(case: Case, environment: Mapping[str, str]) -> Iterator[RunningCase]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", f"{case.name}:app", "--app-dir", str(SERVICES)),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
    ]
    with Program(case.name, command, environment=environment, folder=SERVICES) as program:
        program.wait_until_serving(port, "/openapi.json")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield _Web(case, program.pid, client)


@contextlib.contextmanager
def _worker(case: Case, environment: Mapping[str, str]) -> Iterator[RunningCase]:
    with tempfile.TemporaryFile("w+") as log:
        # It ends by itself at the end of its input, that is when we close the pipe or go away.
        process = subprocess.Popen(
            [sys.executable, str(case.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
            cwd=SERVICES,
        )
        try:
            yield _Worker(case, process, log)
        finally:
            assert process.stdin and process.stdout
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
