"""The application whose history `benchmarks.storage_history` lays down, under uvicorn.

``python -m benchmarks.storage_server URL PORT``. Measures nothing.
"""

import sys

import uvicorn
from fastapi import FastAPI

from benchmarks.storage_routes import APP, add_routes
from fastapi_lens import LensConfig, LensMiddleware, lens_admin

FLUSH_SECONDS = 2.0


def build(url: str, *, flush_seconds: float = FLUSH_SECONDS) -> FastAPI:
    """The application with its admin, open to whoever asks.

    Args:
        url: Of its lens's database.
        flush_seconds: The lens's `flush_interval`.
    """
    app = FastAPI(title=APP)
    config = LensConfig(database_url=url, flush_interval=flush_seconds, security_enabled=False)
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    add_routes(app)
    return app


if __name__ == "__main__":
    uvicorn.run(build(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
