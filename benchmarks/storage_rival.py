"""The same endpoints with the package on PyPI that goes by our own name, and its report.

``python -m benchmarks.storage_rival FOLDER PORT ROWS`` runs in the environment ``pypi``, has that
package write so many requests of the last 90 days, one row each, and serves. Measures nothing.
"""

import sys
import time
from importlib import import_module
from random import Random

import uvicorn
from fastapi import FastAPI

from benchmarks.storage_routes import APP, BUSY, add_routes, paths

DAYS = 90
BATCH = 10_000
SEED = 4


def fill(file: str, rows: int, *, now: float) -> None:
    """Write requests, the oldest first.

    Args:
        file: Its SQLite file.
        rows: Requests.
        now: Epoch seconds.
    """
    models, chance = import_module("fastapi_lens.core.models"), Random(SEED)
    storage = import_module("fastapi_lens.storage.sqlite").SQLiteStorage(file)
    busy = paths()[:BUSY]
    weights = [1 / (rank + 10) for rank in range(BUSY)]
    for begin in range(0, rows, BATCH):
        called = chance.choices(busy, weights, k=min(BATCH, rows - begin))
        storage.insert_batch(
            [
                models.RequestRecord(
                    path=path,
                    method="GET",
                    status_code=200,
                    duration_ms=chance.lognormvariate(3, 0.5),
                    timestamp=now - DAYS * 86_400 * (1 - (begin + at) / rows),
                )
                for at, path in enumerate(called)
            ]
        )
    storage.close()


def build(file: str) -> FastAPI:
    """The application, open to whoever asks."""
    lens = import_module("fastapi_lens")
    app = FastAPI(title=APP)
    add_routes(app)
    lens.LensMiddleware.setup(app, lens.LensConfig(db_path=file))
    return app


if __name__ == "__main__":
    database = f"{sys.argv[1]}/rival.db"
    fill(database, int(sys.argv[3]), now=time.time())
    uvicorn.run(build(database), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
