"""The application whose database gets into trouble; its lens is set by the environment."""

import gc

from fastapi import FastAPI

from fastapi_lens import LensMiddleware

app = FastAPI(title="troubled")
app.add_middleware(LensMiddleware)


@app.get("/things/{item_id}")
async def read_thing(item_id: int) -> dict[str, int]:
    """One thing."""
    return {"item_id": item_id}


# A full collection of all that was imported takes some 50 ms, and comes when it likes.
gc.collect()
gc.freeze()
