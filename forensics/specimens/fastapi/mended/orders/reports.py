"""The routes that bookkeeping uses."""

from __future__ import annotations

from decimal import Decimal

from fastapi import APIRouter

from orders import db
from orders.models import Revenue

router = APIRouter(prefix="/reports")


@router.get("/revenue/{warehouse}")
def revenue(warehouse: int) -> Revenue:
    """What a warehouse shipped, counted page by page."""
    orders, total = 0, Decimal(0)
    for page in db.scan_totals(warehouse):
        orders += len(page)
        total += sum((Decimal(item["total"]["N"]) for item in page), Decimal(0))
    return Revenue(warehouse=warehouse, orders=orders, total=total)
