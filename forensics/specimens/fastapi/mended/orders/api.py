"""The routes that customers and the help desk use."""

from __future__ import annotations

from decimal import Decimal

from fastapi import APIRouter, HTTPException, Query

from orders import db
from orders.cache import BoundedCache
from orders.models import Order, OrderSummary, Spending

router = APIRouter(prefix="/customers/{customer_id}")

#: The help desk's page asks for the same orders every few seconds while a call lasts: answer from here.
SUMMARIES = BoundedCache(entries=32, seconds=30)


@router.get("/orders")
def list_orders(
    customer_id: str,
    since: str = "2020-01-01",
    until: str = "2030-01-01",
    status: str | None = None,
    limit: int = Query(20, ge=1, le=100),
) -> list[OrderSummary]:
    """The orders of a customer, newest first."""
    question = (customer_id, since, until, status, limit)
    summaries: list[OrderSummary] | None = SUMMARIES.get(question)
    if summaries is None:
        response = db.query_orders(customer_id, since, until, status, limit)
        summaries = [OrderSummary.from_item(item) for item in response["Items"]]
        SUMMARIES.put(question, summaries)
    return summaries


@router.get("/orders/{order_id}")
def read_order(customer_id: str, order_id: str) -> Order:
    """One order with its lines."""
    item = db.get_order(customer_id, order_id)
    if item is None:
        raise HTTPException(404, f"customer {customer_id} has no order {order_id}")
    return Order.from_item(item)


@router.get("/spending")
def read_spending(customer_id: str, orders: int = Query(10, ge=1, le=50)) -> Spending:
    """What a customer spent on the latest orders."""
    latest = db.latest_orders(customer_id, orders)
    return Spending(
        customer_id=customer_id, orders=len(latest), total=sum((item["total"] for item in latest), Decimal(0))
    )
