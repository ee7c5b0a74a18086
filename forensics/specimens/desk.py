"""Requests to the help desk and bookkeeping of the compiled specimens: each route leaks in a way of its own.

``DESK`` are the routes of the ``echo`` specimen's leaking twin, ``RUST_DESK`` those of ``actix`` and ``axum``,
``MORE`` what one of them has besides, ``CONTROLS`` those that keep what is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from forensics.specimens.orders import manual_sku, order_key
from forensics.specimens.program import SpecimenError

#: Route → the function of the Go specimen that serves it.
DESK = {
    "orders": "listOrders",
    "label": "label",
    "audited": "audited",
    "notes": "notes",
    "visit": "visit",
    "tenant": "tenant",
    "watch": "watch",
    "export": "export",
}
#: Route → the function of the Rust specimens that serves it.
RUST_DESK = {
    "orders": "list_orders",
    "label": "label",
    "export": "export",
    "tenant": "tenant",
    "queue": "queue",
    "watch": "watch",
    "audited": "audited",
}
#: Specimen → routes that it alone has, and the small captures that are kept do not: large values (L17), refusals (L16).
MORE = {"echo": {"manual": "manual"}, "axum": {"manual": "manual", "refused": "refused"}}
CONTROLS = ("recent", "spending")


class Clients:
    """Clients of the desk at ``url``, so many at once, which keep their connections until the end of ``with``.

    ``orders`` is how many orders the tables were seeded with.
    """

    def __init__(self, url: str, orders: int, count: int = 4) -> None:
        self.orders = orders
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._pool = ThreadPoolExecutor(count)

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._http.close()

    def ask(self, routes: Sequence[str], numbers: range) -> None:
        """Every number of every route, once each; returns when all are answered."""
        work = [(route, number) for number in numbers for route in routes]
        list(self._pool.map(lambda each: _send(self._http, each[0], each[1], self.orders), work))


def _send(client: httpx.Client, route: str, number: int, orders: int) -> None:
    customer, order = order_key(number % orders)
    path = {
        "orders": f"/customers/{customer}/orders?since=2020-01-{number % 28 + 1:02d}&status={number}",
        "spending": f"/customers/{customer}/spending?orders=10",
        "revenue": "/reports/revenue/11",
        "manual": f"/desk/{customer}/manual/{manual_sku(number)}?desk={number}",
        "export": f"/reports/export/{(11, 12, 21, 34)[number % 4]}",
    }.get(route)
    if path is None:
        alone = route in ("notes", "visit", "tenant", "watch", "queue", "follow", "client")
        path = f"/desk/{customer}/{route}" + ("" if alone else f"/{order}?desk={number}")
    answer = client.get(path)
    if answer.status_code != 200:
        raise SpecimenError(f"{path} was answered with {answer.status_code}: {answer.text[:200]}.")
