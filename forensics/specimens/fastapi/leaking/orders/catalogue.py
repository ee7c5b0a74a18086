"""The products, read once at start: a table that stays, of a size that is known."""

from __future__ import annotations

from orders import db

#: SKU → title. Filled at start and never again.
TITLES: dict[str, str] = {}


def load() -> None:
    for product in db.load_products():
        TITLES[product["sku"]["S"]] = product["title"]["S"]


def title_of(sku: str) -> str:
    return TITLES.get(sku, sku)
