"""Some thousand realistic orders, the same ones each time, and how they get into a DynamoDB."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from forensics.specimens.moto import Moto

ORDERS_TABLE = "Orders"
PRODUCTS_TABLE = "Products"
MANUALS_TABLE = "Manuals"
#: How many products have a manual, and how long the scanned pages of one are.
MANUALS, MANUAL_BYTES = 12, 24_000
CUSTOMERS = 100
WAREHOUSES = (11, 12, 21, 34)
FIRST_DAY = dt.date(2025, 1, 1)
DAYS = 500

_CITIES = (
    ("Kraków", "PL", "30-0"),
    ("Göteborg", "SE", "411 "),
    ("Lisboa", "PT", "1100-"),
    ("Lyon", "FR", "690"),
    ("Leipzig", "DE", "041"),
    ("Galway", "IE", "H91 "),
)
_NAMES = (
    "Ada",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Eszter",
    "Femi",
    "Gudrun",
    "Hal",
    "Ines",
    "Jakub",
    "Kaisa",
    "Lev",
)
_FAMILIES = (
    "Nowak",
    "Lindqvist",
    "Ferreira",
    "Moreau",
    "Schulze",
    "Byrne",
    "Okafor",
    "Kovács",
    "Haddad",
    "Sato",
)
_STREETS = ("Długa", "Vasagatan", "Rua da Prata", "Rue Mercière", "Karl-Liebknecht-Straße", "Shop Street")
_STATUSES = ("placed", "paid", "packed", "shipped", "delivered", "returned")
_GOODS = (
    "kettle",
    "lamp",
    "chair",
    "notebook",
    "raincoat",
    "teapot",
    "backpack",
    "blanket",
    "radio",
    "clock",
)
_COLOURS = ("slate", "ochre", "moss", "brick", "ivory", "ink")
_TAGS = ("gift", "express", "b2b", "first-order", "loyalty", "fragile", "repeat", "newsletter")
_MONEY = Decimal("0.01")


def customer_id(number: int) -> str:
    return f"C{number:05d}"


def products() -> list[dict[str, Any]]:
    """The catalogue: 60 products."""
    return [
        {
            "sku": f"{good[:3].upper()}-{colour[:2].upper()}-{index:02d}",
            "title": f"{colour} {good}".capitalize(),
            "price": Decimal(900 + 137 * index).scaleb(-2),
            "sizes": {"S", "M", "L"},
        }
        for index, (good, colour) in enumerate((good, colour) for good in _GOODS for colour in _COLOURS)
    ]


def manuals(seed: int = 1) -> list[dict[str, Any]]:
    """The manuals of the first products: a title, and a large binary beside it."""
    chance = random.Random(seed)
    return [
        {
            "sku": product["sku"],
            "title": f"How to use the {product['title'].lower()}",
            "pages": chance.randint(8, 40),
            "scan": chance.randbytes(MANUAL_BYTES),
        }
        for product in products()[:MANUALS]
    ]


def manual_sku(number: int) -> str:
    """One of the products that have a manual."""
    return str(products()[number % MANUALS]["sku"])


def orders(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """``count`` orders as the boto3 resource takes them: nested maps and lists, sets, numbers, binary, null.

    ``order_id`` begins with the day the order was placed, so that it sorts by time.
    """
    chance = random.Random(seed)
    catalogue = products()
    for number in range(count):
        yield _order(number, chance, catalogue)


def order_key(number: int) -> tuple[str, str]:
    """Customer and order id of the order with that number, without making it."""
    day = FIRST_DAY + dt.timedelta(days=number * 7919 % DAYS)
    return customer_id(number * 37 % CUSTOMERS), f"{day.isoformat()}-{number:06d}"


def seed_tables(moto: Moto, count: int = 2000, progress: Callable[[int], object] | None = None) -> None:
    """Make the tables and fill them; ``progress(n)`` is told after every ``n`` orders written."""
    dynamodb = moto.resource()
    for table in (PRODUCTS_TABLE, MANUALS_TABLE):
        dynamodb.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    dynamodb.create_table(
        TableName=ORDERS_TABLE,
        AttributeDefinitions=[
            {"AttributeName": "customer_id", "AttributeType": "S"},
            {"AttributeName": "order_id", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "customer_id", "KeyType": "HASH"},
            {"AttributeName": "order_id", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for table, rows in ((PRODUCTS_TABLE, products()), (MANUALS_TABLE, manuals())):
        with dynamodb.Table(table).batch_writer() as batch:
            for row in rows:
                batch.put_item(row)
    with dynamodb.Table(ORDERS_TABLE).batch_writer() as batch:
        for order in orders(count):
            batch.put_item(order)
            if progress:
                progress(1)


def _order(number: int, chance: random.Random, catalogue: list[dict[str, Any]]) -> dict[str, Any]:
    customer, order_id = order_key(number)
    given, family = chance.choice(_NAMES), chance.choice(_FAMILIES)
    lines = [_line(product, chance) for product in chance.sample(catalogue, chance.randint(1, 5))]
    total = sum((line["quantity"] * line["unit_price"] for line in lines), Decimal(0)).quantize(_MONEY)
    address = _address(f"{given} {family}", chance)
    placed = dt.datetime.fromisoformat(order_id[:10]) + dt.timedelta(seconds=chance.randrange(86_400))
    return {
        "customer_id": customer,
        "order_id": order_id,
        "status": chance.choice(_STATUSES),
        "placed_at": placed.isoformat() + "Z",
        "updated_at": (placed + dt.timedelta(minutes=chance.randrange(9000))).isoformat() + "Z",
        "currency": "EUR",
        "total": total,
        "email": f"{given}.{family}{number}@mail.example".lower(),
        "shipping": address,
        "billing": address if chance.random() < 0.8 else _address(f"{given} {family}", chance),
        "lines": lines,
        "warehouses": set(chance.sample(WAREHOUSES, chance.randint(1, 2))),
        "tags": set(chance.sample(_TAGS, chance.randint(1, 3))),
        "label": chance.randbytes(chance.randint(48, 160)),
        "gift": chance.random() < 0.1,
        "note": None
        if chance.random() < 0.7
        else f"Leave it with the neighbour, {chance.choice(_NAMES)}, please.",
        "events": [
            {"at": (placed + dt.timedelta(hours=hour)).isoformat() + "Z", "what": what}
            for hour, what in zip((0, 2, 9, 40), _STATUSES[: chance.randint(1, 4)], strict=False)
        ],
    }


def _line(product: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {
        "sku": product["sku"],
        "quantity": chance.randint(1, 4),
        "unit_price": product["price"],
        "options": {"size": chance.choice("SML"), "wrap": chance.random() < 0.2},
    }


def _address(name: str, chance: random.Random) -> dict[str, Any]:
    city, country, postcode = chance.choice(_CITIES)
    return {
        "name": name,
        "street": f"{chance.choice(_STREETS)} {chance.randint(1, 180)}",
        "city": city,
        "country": country,
        "postcode": f"{postcode}{chance.randint(10, 99)}",
        "position": [Decimal(chance.randint(36, 60)), Decimal(chance.randint(-9, 25))],
    }
