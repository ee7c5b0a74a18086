"""Load on an orders service: several HTTP clients at once, every answer counted, nothing swallowed.

``python -m forensics.specimens.load URL --orders 2000`` runs it; ``Load`` runs that in a process of its own,
so that it neither slows the analysis down nor is slowed down by it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime as dt
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from forensics.specimens.orders import CUSTOMERS, DAYS, FIRST_DAY, WAREHOUSES, customer_id, order_key
from forensics.specimens.program import Program, SpecimenError

#: An answer that takes longer than this many seconds is a failed request.
DEADLINE = 30.0


@dataclass(frozen=True)
class LoadResult:
    """What the load generator counted: requests, those that failed and why, seconds, the slowest answer."""

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        why = "".join(f"; {count} x {what}" for what, count in self.failures.items())
        rate = self.requests / self.seconds if self.seconds else 0.0
        return (
            f"{self.requests} requests in {self.seconds:.1f} s ({rate:.0f}/s), {self.failed} failed, "
            f"slowest {1000 * self.slowest_seconds:.0f} ms{why}"
        )


def requests(orders: int, seed: int = 7) -> Iterator[str]:
    """Paths as the customers, the help desk and bookkeeping ask for them, without end, the same each time."""
    chance = random.Random(seed)
    for number in itertools.count():
        customer = customer_id(chance.randrange(CUSTOMERS))
        draw = chance.random()
        if draw < 0.50:
            since = FIRST_DAY + dt.timedelta(days=chance.randrange(DAYS // 2))
            until = since + dt.timedelta(days=chance.randrange(DAYS // 2, DAYS))
            status = f"&status={chance.choice(('paid', 'shipped'))}" if chance.random() < 0.1 else ""
            yield f"/customers/{customer}/orders?since={since}&until={until}{status}"
        elif draw < 0.80:
            customer, order = order_key(chance.randrange(orders))
            yield f"/customers/{customer}/orders/{order}"
        elif draw < 0.97:
            yield f"/customers/{customer}/spending?orders=10"
        elif number % 200 == 199:
            yield f"/reports/revenue/{chance.choice(WAREHOUSES)}"
        else:
            yield "/health"


async def run(
    url: str,
    *,
    orders: int,
    clients: int = 4,
    per_second: float = 15.0,
    at_most: int = 20_000,
    seconds: float = 600.0,
    seed: int = 7,
    stop: asyncio.Event | None = None,
    told: Counter[str] | None = None,
) -> LoadResult:
    """Ask until ``at_most`` requests were made, ``seconds`` went by or ``stop`` was set, whichever is first.

    Requests that are under way then are waited for and counted. ``told`` is kept up to date meanwhile
    (``requests``, ``failed``). The clients together ask no more than ``per_second`` times a second.
    """
    stop = stop or asyncio.Event()
    told = Counter() if told is None else told
    failures: Counter[str] = Counter()
    paths = itertools.islice(requests(orders, seed), at_most)
    began = time.monotonic()
    slowest = 0.0
    turns = itertools.count()

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal slowest
        for path in paths:
            wait = began + next(turns) / per_second - time.monotonic()
            if wait > 0:
                await asyncio.wait({stopped}, timeout=wait)
            if stop.is_set() or time.monotonic() - began > seconds:
                return
            asked = time.monotonic()
            failure = await _ask(http, path)
            slowest = max(slowest, time.monotonic() - asked)
            told["requests"] += 1
            if failure:
                told["failed"] += 1
                failures[failure] += 1

    stopped = asyncio.ensure_future(stop.wait())
    try:
        async with httpx.AsyncClient(
            base_url=url, timeout=DEADLINE, limits=httpx.Limits(max_connections=clients), trust_env=False
        ) as http:
            await asyncio.gather(*(client(http) for _ in range(clients)))
    finally:
        stopped.cancel()
    return LoadResult(
        requests=told["requests"],
        failed=told["failed"],
        seconds=time.monotonic() - began,
        slowest_seconds=slowest,
        failures=dict(failures),
    )


async def _ask(http: httpx.AsyncClient, path: str) -> str | None:
    """Ask once; what went wrong, or None."""
    try:
        async with asyncio.timeout(DEADLINE):
            answer = await http.get(path)
    except TimeoutError:
        return f"no answer in {DEADLINE:.0f} s"
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == 200 else f"HTTP {answer.status_code}"


class Load:
    """Load in a process of its own, from construction until ``stop``.

    ``requests`` and ``failed`` say how far it is; ``stop()`` waits for what is under way, returns the count.
    """

    def __init__(
        self,
        url: str,
        *,
        orders: int,
        clients: int = 4,
        per_second: float = 15.0,
        at_most: int = 20_000,
        seconds: float = 600.0,
        seed: int = 7,
    ) -> None:
        self._told: dict[str, int] = {"requests": 0, "failed": 0}
        self._result: LoadResult | None = None
        options = {
            "orders": orders,
            "clients": clients,
            "per-second": per_second,
            "at-most": at_most,
            "seconds": seconds,
            "seed": seed,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.program = Program(
            "the load generator",
            [sys.executable, "-m", "forensics.specimens.load", url, *words],
            capture_output=True,
        )
        self._listener = threading.Thread(target=self._listen, name="load-count", daemon=True)
        self._listener.start()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def requests(self) -> int:
        return self._told["requests"]

    @property
    def failed(self) -> int:
        return self._told["failed"]

    def wait_for(self, count: int, seconds: float = 120.0) -> None:
        """Wait until ``count`` requests were answered.

        Raises
        ------
        SpecimenError : the load ended before, or it took longer than ``seconds``.
        """
        self.program.wait_until(lambda: self.requests >= count, seconds)

    def stop(self) -> LoadResult:
        """No new requests; those under way are answered and counted.

        Raises
        ------
        SpecimenError : the load generator died, so that nobody knows the count.
        """
        if self.program.running:
            self.program.process.send_signal(signal.SIGTERM)
        self._listener.join(DEADLINE + 10)
        last_words = self.program.log()
        self._end()
        if self._result is None:
            raise SpecimenError(
                "The load generator ended without a count of its requests.",
                advice=f"Its last words:\n{last_words}",
            )
        return self._result

    def _end(self) -> None:
        if self.program.running:
            self.program.process.send_signal(signal.SIGTERM)
            self._listener.join(2)
        # The listener must be out of readline() before stop() closes the pipe under it.
        if self._listener.is_alive():
            self.program.process.kill()
            self._listener.join()
        self.program.stop()

    def _listen(self) -> None:
        for line in self.program.output:
            record = json.loads(line)
            if "seconds" in record:
                self._result = LoadResult(**record)
            self._told = {"requests": record["requests"], "failed": record["failed"]}


async def _main(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    told: Counter[str] = Counter()

    async def tell() -> None:
        while True:
            _print({"requests": told["requests"], "failed": told["failed"]})
            await asyncio.sleep(0.1)

    teller = asyncio.create_task(tell())
    result = await run(
        arguments.url,
        orders=arguments.orders,
        clients=arguments.clients,
        per_second=arguments.per_second,
        at_most=arguments.at_most,
        seconds=arguments.seconds,
        seed=arguments.seed,
        stop=stop,
        told=told,
    )
    teller.cancel()
    _print(dataclasses.asdict(result))


def _print(record: dict[str, object]) -> None:
    os.write(1, (json.dumps(record) + "\n").encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m forensics.specimens.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--orders", type=int, required=True, help="how many orders the table holds")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--per-second", type=float, default=15.0)
    parser.add_argument("--at-most", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(_main(_arguments()))
