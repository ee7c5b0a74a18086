"""The application: ``uvicorn orders.main:app``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from orders import api, catalogue, reports


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await run_in_threadpool(catalogue.load)
    yield


app = FastAPI(title="Orders", lifespan=lifespan)
app.include_router(api.router)
app.include_router(reports.router)


@app.get("/health")
def health() -> dict[str, int]:
    return {"products": len(catalogue.TITLES)}
