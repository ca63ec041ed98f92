"""An application whose every request is logged, and some of them crash. Drives no browser."""

from fastapi import FastAPI

from fastapi_lens import LensConfig, LensMiddleware, lens_admin

app = FastAPI(title="crashing")
app.add_middleware(LensMiddleware, config=LensConfig(log_sample_rate=1.0, log_slowest=0))
app.include_router(lens_admin)


@app.get("/orders/{order_id}")
def read_order(order_id: int) -> int:
    """One order, if its number is even."""
    if order_id % 2:
        raise LookupError(f"no order <b>{order_id}</b>")
    return order_id
