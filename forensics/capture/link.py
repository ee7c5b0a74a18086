"""The capturing side of the agent's socket: one request per connection, one line or one stream back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forensics.agent.server import socket_path
from forensics.capture.reader import RawSnapshot, read_stream
from forensics.errors import CaptureError, TargetError

#: An agent that has not answered a short request by then is stuck behind the interpreter lock, seconds.
ANSWER_LIMIT = 30.0


def agent_socket(pid: int) -> Path:
    """Where the agent of ``pid`` listens, seen from here: through the target's own root and process id."""
    return Path(socket_path(inner_pid(pid), root=f"/proc/{pid}/root"))


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
        self.path = agent_socket(pid)

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
            try:
                while more := connection.recv(1 << 16):
                    raw += more
            except TimeoutError:
                raise CaptureError(
                    f"The agent in process {self.pid} did not answer {verb!r} within {timeout:.0f} s.",
                    advice="Its interpreter lock may be held by native code; try again, or see `forensics targets`.",
                    pid=self.pid,
                ) from None
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
        with self._connect(None) as connection:
            self._send(connection, "snapshot", request)
            raw = read_stream(connection.recv, keep_values=keep_values, hash_key=hash_key, progress=progress)
        return raw, self.request("last")

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
        connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")


@contextlib.contextmanager
def _short_path(path: Path):
    """Unix socket paths are limited to 107 bytes: go through a descriptor of the folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
