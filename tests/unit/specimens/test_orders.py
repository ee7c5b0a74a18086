"""The orders of the specimens: the same each time, and of every kind DynamoDB knows."""

from __future__ import annotations

import filecmp
from decimal import Decimal
from itertools import islice

from boto3.dynamodb.types import TypeSerializer

from forensics.specimens import load, orders
from forensics.specimens.service import SPECIMENS


def test_orders_are_the_same_each_time():
    assert list(orders.orders(50)) == list(orders.orders(50))


def test_orders_hold_every_kind_of_value():
    kinds: set[str] = set()

    def collect(value: dict) -> None:
        for kind, content in value.items():
            kinds.add(kind)
            inner = content.values() if kind == "M" else content if kind == "L" else ()
            for each in inner:
                collect(each)

    for order in orders.orders(40):
        collect(TypeSerializer().serialize(order))

    assert kinds >= {"S", "N", "B", "M", "L", "SS", "NS", "BOOL", "NULL"}


def test_an_order_key_is_that_of_the_order():
    for number, order in enumerate(orders.orders(30)):
        assert orders.order_key(number) == (order["customer_id"], order["order_id"])


def test_keys_are_unique():
    keys = {orders.order_key(number) for number in range(4000)}
    assert len(keys) == 4000


def test_an_order_totals_its_lines():
    order = next(orders.orders(1))
    assert order["total"] == sum(
        (line["quantity"] * line["unit_price"] for line in order["lines"]), Decimal(0)
    )


def test_the_load_asks_for_every_route_and_for_ever_new_questions():
    paths = list(islice(load.requests(orders=600), 1000))
    routes = {
        "?" if "/orders?" in path else path.split("/")[-2 if "/orders/" in path else 1] for path in paths
    }
    questions = [path for path in paths if "/orders?" in path]

    assert routes >= {"?", "orders", "customers", "health"}
    assert len(set(questions)) > 0.95 * len(questions)


def test_the_fastapi_twins_differ_only_in_the_cache():
    twins = filecmp.dircmp(
        SPECIMENS / "fastapi" / "leaking" / "orders",
        SPECIMENS / "fastapi" / "mended" / "orders",
        ignore=["__pycache__"],
    )
    assert twins.diff_files == ["api.py"]
    assert twins.left_only == []
    assert twins.right_only == ["cache.py"]
    assert not twins.funny_files
