"""Where the orders are and how to reach them, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    region: str
    orders_table: str
    products_table: str
    endpoint: str | None
    connections: int

    @classmethod
    def from_environment(cls) -> Settings:
        return cls(
            region=os.environ.get("AWS_REGION", "eu-central-1"),
            orders_table=os.environ.get("ORDERS_TABLE", "Orders"),
            products_table=os.environ.get("PRODUCTS_TABLE", "Products"),
            endpoint=os.environ.get("DYNAMODB_ENDPOINT") or None,
            connections=int(os.environ.get("DYNAMODB_CONNECTIONS", "48")),
        )


settings = Settings.from_environment()
