"""What the service answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from orders import catalogue


class OrderSummary(BaseModel):
    order_id: str
    status: str
    placed_at: str
    total: Decimal
    currency: str
    lines: int

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> OrderSummary:
        """From an item of the low-level client."""
        return cls(
            order_id=item["order_id"]["S"],
            status=item["status"]["S"],
            placed_at=item["placed_at"]["S"],
            total=Decimal(item["total"]["N"]),
            currency=item["currency"]["S"],
            lines=len(item["lines"]["L"]),
        )


class OrderLine(BaseModel):
    sku: str
    title: str
    quantity: int
    unit_price: Decimal


class Order(BaseModel):
    order_id: str
    status: str
    total: Decimal
    currency: str
    city: str
    lines: list[OrderLine]

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Order:
        """From an item of the resource."""
        lines = [
            OrderLine(
                sku=line["sku"],
                title=catalogue.title_of(line["sku"]),
                quantity=int(line["quantity"]),
                unit_price=line["unit_price"],
            )
            for line in item["lines"]
        ]
        return cls(
            order_id=item["order_id"],
            status=item["status"],
            total=item["total"],
            currency=item["currency"],
            city=item["shipping"]["city"],
            lines=lines,
        )


class Spending(BaseModel):
    customer_id: str
    orders: int
    total: Decimal


class Revenue(BaseModel):
    warehouse: int
    orders: int
    total: Decimal
