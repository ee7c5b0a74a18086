"""One session of the Chrome DevTools protocol over a WebSocket: commands, their answers, and events meanwhile."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from forensics.errors import CaptureError

#: Seconds for a command that does not stop the process for long.
PATIENCE = 30.0
Event = Callable[[dict[str, Any]], None]


class Session:
    """A connection to the inspector of process ``pid``.

    Raises
    ------
    CaptureError : it cannot be connected to, breaks off, or a command fails.
    """

    def __init__(self, url: str, *, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._next = 0
        self._closing = contextlib.ExitStack()
        try:
            self._socket = self._closing.enter_context(
                connect(
                    url,
                    max_size=None,
                    compression=None,
                    proxy=None,
                    open_timeout=PATIENCE,
                    ping_interval=None,
                )
            )
        except (OSError, WebSocketException) as error:
            raise CaptureError(
                f"The inspector of process {pid} on port {port} could not be connected to: {error}.",
                advice="It may be in use by another debugger, or the process is stopped; try again.",
                pid=pid,
            ) from error

    def call(
        self,
        method: str,
        parameters: dict[str, Any] | None = None,
        *,
        on_event: Event | None = None,
        patience: float = PATIENCE,
    ) -> dict[str, Any]:
        """Send one command and wait for its answer; events that come meanwhile go to ``on_event``.

        ``patience`` is for the time without any message, seconds.
        """
        try:
            number = self.send(method, parameters)
            while True:
                message = json.loads(self._socket.recv(timeout=patience))
                if message.get("id") == number:
                    break
                if "method" in message and on_event is not None:
                    on_event(message)
                self._acknowledge()
        except TimeoutError:
            raise CaptureError(
                f"Process {self.pid} did not answer {method} within {patience:.0f} s.",
                advice="Its event loop is busy or it is stopped; try again when it is less busy.",
                pid=self.pid,
            ) from None
        except (OSError, WebSocketException, ValueError) as error:
            raise CaptureError(
                f"The inspector of process {self.pid} broke off during {method}: {error}.",
                advice="The process has ended, or its inspector was closed; see its own log.",
                pid=self.pid,
            ) from error
        if "error" in message:
            raise CaptureError(
                f"Process {self.pid} refused {method}: {str(message['error'].get('message'))[:300]}.",
                advice="Another debugger may be attached; end that session and try again.",
                pid=self.pid,
            )
        result: dict[str, Any] = message.get("result", {})
        return result

    def send(self, method: str, parameters: dict[str, Any] | None = None) -> int:
        """Send one command without waiting for its answer; its number."""
        self._next += 1
        self._socket.send(json.dumps({"id": self._next, "method": method, "params": parameters or {}}))
        return self._next

    def _acknowledge(self) -> None:
        """Let the kernel say at once that an event came: Node holds the answer behind it back until then, 40 ms."""
        with contextlib.suppress(OSError):
            self._socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def evaluate(self, expression: str, *, command_line: bool = False) -> Any:
        """The value of an expression of our own in the process, by value."""
        result = self.call(
            "Runtime.evaluate",
            {
                "expression": expression,
                "returnByValue": True,
                "silent": True,
                "includeCommandLineAPI": command_line,
            },
        )
        if "exceptionDetails" in result:
            raise CaptureError(
                f"Process {self.pid} could not say {expression[:60]!r}: "
                f"{str(result['exceptionDetails'].get('text'))[:200]}.",
                pid=self.pid,
            )
        return result.get("result", {}).get("value")

    def close(self) -> None:
        """End the session; the process goes on."""
        with contextlib.suppress(OSError, WebSocketException):
            self._closing.close()
