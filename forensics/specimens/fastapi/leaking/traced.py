"""The same application with the tracer on: ``uvicorn traced:app``."""

import forensics.tracing

forensics.tracing.install()

from orders.main import app  # noqa: E402

__all__ = ["app"]
