"""A program of our own in a process of its own: started, waited for until it answers, ended for sure."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx
import psutil

from forensics.errors import ForensicsError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class SpecimenError(ForensicsError):
    """A specimen, its database or its load could not be started or did not last."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now; somebody else may take it before you do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def claim_port(port: int | None) -> int:
    """The port asked for, or a free one.

    Raises
    ------
    SpecimenError : somebody listens on the port asked for.
    """
    if port is None:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise SpecimenError(
                f"Port {port} of 127.0.0.1 cannot be listened on: {error}.",
                advice="Leave the port out to get a free one, or end the program that has it.",
                port=port,
            ) from error
    return port


class Program:
    """A child process in a group of its own, with its output in a temporary file.

    It ends when ``stop`` is called, when the ``with`` block ends, when this interpreter exits, and when this
    process is killed (the kernel then sends it SIGTERM).

    Parameters
    ----------
    name : what messages call it.
    command : the argument vector.
    environment : variables that are added to this process's own.
    folder : the working folder, this process's own where left out.
    capture_output : keep standard output readable as ``output`` and not in the log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        capture_output: bool = False,
    ) -> None:
        self.name = name
        self.command = [os.fspath(part) for part in command]
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="forensics-")  # noqa: SIM115 - closed by stop()
        parent = os.getpid()
        with _interruptions_deferred():
            try:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if capture_output else self._log,
                    stderr=self._log,
                    env={**os.environ, **(environment or {})},
                    cwd=folder,
                    start_new_session=True,  # Ctrl-C reaches us alone, and we end the children in order
                    preexec_fn=lambda: _end_with(parent),  # noqa: PLW1509 - two system calls, no lock
                )
            except OSError as error:
                self._log.close()
                raise SpecimenError(
                    f"{name} cannot be started: {error}.",
                    advice=f"See that {self.command[0]} is installed and may be run.",
                    command=self.command,
                ) from error
            self._finalizer = weakref.finalize(self, _end, self.process)

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended with {self.process.returncode}"
        return f"<Program {self.name!r} pid={self.pid} {state}>"

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> IO[bytes]:
        """Standard output, where ``capture_output`` was asked for."""
        assert self.process.stdout is not None
        return self.process.stdout

    def log(self, lines: int = 12) -> str:
        """The last lines the program wrote."""
        with contextlib.suppress(ValueError, OSError):  # closed: it was stopped
            size = os.fstat(self._log.fileno()).st_size
            text = os.pread(self._log.fileno(), 64_000, max(0, size - 64_000)).decode(errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until ``ready()`` holds.

        Raises
        ------
        SpecimenError : it ended before, or was not ready in time; the message ends with its last words.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise SpecimenError(
                    f"{self.name} ended with exit code {self.process.returncode} before it was ready.",
                    advice=f"Its last words:\n{self.log()}",
                    exit_code=self.process.returncode,
                )
            if time.monotonic() > deadline:
                raise SpecimenError(
                    f"{self.name} (pid {self.pid}) was not ready after {seconds:.0f} seconds.",
                    advice=f"Try again when the machine is less busy. Its last words:\n{self.log()}",
                    seconds=seconds,
                )
            time.sleep(0.05)

    def wait_until_serving(self, port: int, path: str = "/", seconds: float = 60.0) -> None:
        """Wait until this very program (not another one on that port) listens and answers ``GET path``."""
        self.wait_until(
            lambda: self._listens_on(port) and _answers(f"http://127.0.0.1:{port}{path}"), seconds
        )

    def stop(self, grace: float = 5.0) -> int:
        """End the program and all it started: ask, wait ``grace`` seconds, insist. Returns its exit code."""
        _end(self.process, grace)
        self._finalizer.detach()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()
        return self.process.returncode

    def _listens_on(self, port: int) -> bool:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for member in (process, *process.children(recursive=True)):
                for connection in member.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                        return True
        return False


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def _interruptions_deferred() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block.

    A fork runs Python hooks (logging's, for one), and an exception that a signal handler raises in one of them is
    printed and forgotten: the interruption would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda got, _: arrived.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _end_with(parent: int) -> None:
    """In the child, before exec: be ended when the parent goes, however it goes."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # it went between fork and prctl


def _end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever of the group is left
    process.wait()
