"""The application whose old rows are deleted; its lens is set by the environment.

It asks every second whether it is its turn to delete, instead of every minute, and prints how long
each flush has taken.
"""

import gc
import logging
import time

from fastapi import FastAPI

from benchmarks.retention import ENDPOINTS, FLUSHED
from fastapi_lens import LensMiddleware
from fastapi_lens.recording.flush.flusher import Flusher
from fastapi_lens.storage.retention import pruner

_flush = Flusher.flush


def _timed(self: Flusher, *, ending: bool = False) -> bool:
    begun = time.perf_counter()
    written = _flush(self, ending=ending)
    print(FLUSHED, time.time(), (time.perf_counter() - begun) * 1_000, flush=True)
    return written


pruner.EVERY_SECONDS = 1.0
Flusher.flush = _timed  # type: ignore[method-assign]
logging.basicConfig(format="%(message)s")
logging.getLogger("fastapi_lens").setLevel(logging.DEBUG)

app = FastAPI(title="pruned")
app.add_middleware(LensMiddleware)


async def read_thing(item_id: int) -> dict[str, int]:
    """One thing."""
    return {"item_id": item_id}


for number in range(ENDPOINTS):
    app.add_api_route(f"/things-{number}/{{item_id}}", read_thing)

# A full collection of all that was imported takes some 50 ms, and comes when it likes.
gc.collect()
gc.freeze()
