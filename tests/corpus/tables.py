"""What the services of the corpus read: small tables, the same every time, and one with a stream of its changes."""

from __future__ import annotations

import random
from typing import Any

CUSTOMERS, ORDERS_EACH, DOCUMENTS, SESSIONS, GUIDES = 200, 12, 60, 100, 10


def seed(client: Any) -> None:
    """Make and fill the tables through a low-level DynamoDB client."""
    letters = random.Random(20260101)
    _table(client, "Orders", "customer", "order_id", by_day=True)
    _table(client, "Customers", "customer_id")
    _table(client, "Documents", "document_id")
    _table(client, "Sessions", "session_id")
    _table(
        client,
        "Changes",
        "change_id",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    _fill(client, "Orders", [_order(c, n, letters) for c in range(60) for n in range(ORDERS_EACH)])
    _fill(client, "Customers", [_customer(n, letters) for n in range(CUSTOMERS)])
    _fill(client, "Documents", [_document(n, letters) for n in range(DOCUMENTS)])
    _fill(client, "Sessions", [_session(n, letters) for n in range(SESSIONS)])


def add(client: Any, *names: str) -> None:
    """Make and fill some of these tables beside what is there already: ``Sessions``, ``Guides``."""
    letters = random.Random(20260101)
    makers = {"Sessions": ("session_id", _session, SESSIONS), "Guides": ("guide_id", _guide, GUIDES)}
    for name in names:
        key, make, count = makers[name]
        _table(client, name, key)
        _fill(client, name, [make(n, letters) for n in range(count)])


def _table(
    client: Any, name: str, key: str, sort: str | None = None, *, by_day: bool = False, **more: Any
) -> None:
    keys = [(key, "HASH"), *([(sort, "RANGE")] if sort else [])]
    attributes = [{"AttributeName": attribute, "AttributeType": "S"} for attribute, _ in keys]
    if by_day:
        attributes.append({"AttributeName": "day", "AttributeType": "N"})
        more["GlobalSecondaryIndexes"] = [
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": attribute, "KeyType": kind} for attribute, kind in keys],
        AttributeDefinitions=attributes,
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def _fill(client: Any, table: str, items: list[dict[str, Any]]) -> None:
    for begin in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[begin : begin + 25]]
        client.batch_write_item(RequestItems={table: requests})


def _text(letters: random.Random, length: int) -> str:
    return "".join(letters.choices("abcdefghij klmnopqrst uvwxyz", k=length))


def _order(customer: int, number: int, letters: random.Random) -> dict[str, Any]:
    return {
        "customer": {"S": f"c{customer:02d}"},
        "order_id": {"S": f"o{customer:02d}-{number:03d}"},
        "day": {"N": str((customer + number) % 20)},
        "status": {"S": letters.choice(["placed", "paid", "packed", "shipped"])},
        "total": {"N": str(letters.randint(100, 99_999))},
        "lines": {
            "L": [
                {"M": {"sku": {"S": _text(letters, 8)}, "name": {"S": _text(letters, 20)}}} for _ in range(2)
            ]
        },
        "note": {"S": _text(letters, 160)},
    }


def _customer(number: int, letters: random.Random) -> dict[str, Any]:
    return {
        "customer_id": {"S": f"u{number:03d}"},
        "name": {"S": _text(letters, 16)},
        "city": {"S": letters.choice(["Lisboa", "Lyon", "Leipzig", "Galway"])},
        "since": {"N": str(letters.randint(2015, 2026))},
        "address": {"M": {"street": {"S": _text(letters, 18)}, "code": {"S": _text(letters, 6)}}},
        "history": {"L": [{"S": _text(letters, 24)} for _ in range(12)]},
        "remarks": {"S": _text(letters, 400)},
    }


def _document(number: int, letters: random.Random) -> dict[str, Any]:
    return {
        "document_id": {"S": f"d{number:02d}"},
        "title": {"S": _text(letters, 30)},
        "version": {"N": str(letters.randint(1, 40))},
        "body": {"S": _text(letters, 9_000)},
        "thumbnail": {"B": letters.randbytes(3_000)},
    }


def _guide(number: int, letters: random.Random) -> dict[str, Any]:
    return {
        "guide_id": {"S": f"m{number}"},
        "title": {"S": _text(letters, 30)},
        "body": {"S": _text(letters, 20_000)},
        "drawing": {"B": letters.randbytes(12_000)},
    }


def _session(number: int, letters: random.Random) -> dict[str, Any]:
    # Made up, and shaped like the real thing: a JWT of three parts, an e-mail address at a reserved domain.
    part = "".join(letters.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=43))
    return {
        "session_id": {"S": f"s{number:03d}"},
        "email": {"S": f"{_text(letters, 8).replace(' ', '.')}{number}@example.com"},
        "token": {"S": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI{part}In0.{part}"},
        "device": {"S": _text(letters, 60)},
        "seen": {"L": [{"S": _text(letters, 30)} for _ in range(8)]},
    }
