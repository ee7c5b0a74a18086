"""The capturing side of the agent's socket: one request per connection, one line or one stream back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from forensics.agent.server import socket_paths
from forensics.capture.reader import RawSnapshot, read_stream
from forensics.errors import CaptureError, TargetError

#: An agent that has not answered a short request by then is stuck behind the interpreter lock, seconds.
ANSWER_LIMIT = 30.0
#: A stream that stands still for so long is given up, seconds.
SILENCE_GIVEN_UP = 120.0
#: The same of a process that was stopped: a short stop is waited for.
STOPPED_GIVEN_UP = 5.0


def agent_socket(pid: int) -> Path:
    """Where the agent of ``pid`` listens, seen from here: through the target's own root and process id."""
    places = [Path(path) for path in socket_paths(inner_pid(pid), root=f"/proc/{pid}/root")]
    return next((path for path in places if os.path.exists(path)), places[0])


def inner_pid(pid: int) -> int:
    """The process id of ``pid`` in its own PID namespace."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return pid


class AgentLink:
    """Talks to the agent of one process."""

    def __init__(self, pid: int, *, via: str = "agent") -> None:
        self.pid = pid
        self.via = via

    @property
    def path(self) -> Path:
        """The agent's socket, seen from here; where it would be first looked for if there is none."""
        return agent_socket(self.pid)

    def alive(self) -> bool:
        """Whether an agent answers there now."""
        try:
            return self.request("ping", timeout=5.0).get("pid") == inner_pid(self.pid)
        except (OSError, CaptureError, TargetError):
            return False

    def request(self, verb: str, *, timeout: float = ANSWER_LIMIT, **arguments: Any) -> dict[str, Any]:
        """Ask ``verb``; returns the agent's answer.

        Raises
        ------
        CaptureError : the agent refused, or the target ended or is stuck.
        """
        with self._connect(timeout) as connection:
            self._send(connection, verb, arguments)
            raw = b""
            while more := self._receive(connection, 1 << 16, timeout, f"did not answer {verb!r}"):
                raw += more
        if not raw:
            raise CaptureError(
                f"Process {self.pid} closed the connection without an answer to {verb!r}.",
                advice="It may have ended; see `forensics targets`.",
                pid=self.pid,
            )
        answer = json.loads(raw)
        if isinstance(answer, dict) and "error" in answer:
            raise CaptureError(f"The agent in process {self.pid} could not do {verb!r}: {answer['error']}.")
        return answer

    def snapshot(
        self,
        *,
        keep_values: bool = False,
        hash_key: bytes | None = None,
        progress: Callable[[int], None] = lambda objects: None,
        **request: Any,
    ) -> tuple[RawSnapshot, dict[str, Any]]:
        """One snapshot: the stream, and what it cost the target (walker, pause_seconds, child_pid)."""

        def receive(size: int) -> bytes:
            return self._receive(connection, size, SILENCE_GIVEN_UP, "sent nothing of its snapshot")

        with self._connect(SILENCE_GIVEN_UP) as connection:
            self._send(connection, "snapshot", request)
            raw = read_stream(receive, keep_values=keep_values, hash_key=hash_key, progress=progress)
        return raw, self.request("last")

    @contextlib.contextmanager
    def staying(self) -> Iterator[None]:
        """Keep the agent there; it goes with the last capture if it was brought in from outside.

        Raises
        ------
        CaptureError, TargetError : the agent was about to go, or has gone.
        """
        with self._connect(ANSWER_LIMIT) as connection:
            self._send(connection, "stay", {})
            # An agent of an earlier version does not know the verb, and never goes.
            answer = self._receive(connection, 1 << 16, ANSWER_LIMIT, "did not answer 'stay'")
            if b"about to go" in answer:
                raise CaptureError(f"The agent in process {self.pid} is about to go.", advice="Try again.")
            yield

    def _receive(self, connection: socket.socket, size: int, patience: float, failing: str) -> bytes:
        """``recv`` that tells a process which was stopped, or whose lock is held, from one that is at work."""
        deadline = time.monotonic() + patience
        while True:
            connection.settimeout(max(0.01, min(1.0, deadline - time.monotonic())))
            try:
                return connection.recv(size)
            except TimeoutError:
                pass
            except OSError as error:
                raise CaptureError(
                    f"Process {self.pid} broke the connection: {error.strerror or error}.",
                    advice="It may have ended; see `forensics targets`.",
                    pid=self.pid,
                ) from error
            if time.monotonic() < deadline - patience + STOPPED_GIVEN_UP:
                continue
            if _stopped(self.pid):
                raise CaptureError(
                    f"Process {self.pid} {failing}: it was stopped (SIGSTOP or SIGTSTP) meanwhile.",
                    advice=f"Let it go on, kill -CONT {self.pid}, and take the capture again.",
                    pid=self.pid,
                )
            if time.monotonic() >= deadline:
                raise CaptureError(
                    f"The agent in process {self.pid} {failing} within {patience:.0f} s.",
                    advice="Its interpreter lock may be held by native code; try again, or see `forensics targets`.",
                    pid=self.pid,
                )

    def _connect(self, timeout: float | None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.settimeout(timeout)
        try:
            with _short_path(self.path) as path:
                connection.connect(path)
        except OSError as error:
            connection.close()
            raise TargetError(
                f"No agent answers in process {self.pid}: {error.strerror or error}.",
                advice="See `forensics targets` for the ways into it.",
                pid=self.pid,
            ) from error
        return connection

    def _send(self, connection: socket.socket, verb: str, arguments: dict[str, Any]) -> None:
        try:
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
        except OSError as error:
            raise CaptureError(
                f"Process {self.pid} broke the connection: {error.strerror or error}.",
                advice="It may have ended; see `forensics targets`.",
                pid=self.pid,
            ) from error


def _stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


@contextlib.contextmanager
def _short_path(path: Path):
    """Unix socket paths are limited to 107 bytes: go through a descriptor of the folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
