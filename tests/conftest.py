"""What all tests share: tools they may need, a DynamoDB, a running specimen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.program import free_port as any_free_port
from forensics.specimens.service import Service, fastapi

#: How many orders the table of the tests holds.
ORDERS = 600


def require(program: str, install_hint: str) -> str:
    """The path of a program that a test needs; without it the test is skipped, or fails where CI=true.

    ``from tests.conftest import require`` or the fixture of the same name.
    """
    path = shutil.which(program)
    if path:
        return path
    message = f"{program} is not installed; {install_hint}"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{message} (CI must have it)", pytrace=False)
    pytest.skip(message)


@pytest.fixture(name="require", scope="session")
def require_fixture() -> Callable[[str, str], str]:
    return require


@pytest.fixture
def free_port() -> int:
    return any_free_port()


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """moto's server with the orders and products, for the whole session; do not change what is in it."""
    with Moto() as server:
        seed_tables(server, ORDERS)
        yield server


@pytest.fixture
def leaking_service(moto: Moto) -> Iterator[Service]:
    """The leaking FastAPI specimen, serving; a fresh one for each test."""
    with Service(fastapi("leaking"), moto) as service:
        yield service


@pytest.fixture
def mended_service(moto: Moto) -> Iterator[Service]:
    """Its mended twin."""
    with Service(fastapi("mended"), moto) as service:
        yield service
