"""Load on the compiled specimens while they are captured: their routes, asked round after round."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from forensics.specimens.desk import Clients
from tests.conftest import ORDERS


class Asking:
    """The routes are asked round after round, in a thread, for as long as the ``with`` block takes.

    ``several`` says how many requests of a route one round has; one where it is not named.
    """

    def __init__(self, url: str, routes: Sequence[str], several: Mapping[str, int]) -> None:
        self.url, self.routes, self.several, self.rounds = url, routes, several, 0
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self._failure is None, self._failure

    def seconds_for(self, rounds: int) -> float:
        """Warms the service up with some rounds; how long so many more will take at that rate."""
        begin, warm_up = time.monotonic(), 4
        while self.rounds < warm_up and self._thread.is_alive():
            time.sleep(0.05)
        return (time.monotonic() - begin) * rounds / warm_up

    def _ask(self) -> None:
        try:
            with Clients(self.url, ORDERS) as clients:
                while not self._stop.is_set():
                    for route in self.routes:
                        several = self.several.get(route, 1)
                        clients.ask([route], range(self.rounds * several, (self.rounds + 1) * several))
                    self.rounds += 1
        except BaseException as error:
            self._failure = error
