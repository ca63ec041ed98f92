"""An application that is given secrets in every way there is, and crashes. Drives no browser."""

from fastapi import FastAPI, Request

from fastapi_lens import KeyConfig, LensConfig, LensMiddleware, lens_admin
from fastapi_lens.config.keys import hash_key

PLAIN = "plain-key-7f3a91c2"
HASHED = "hashed-key-5be0d4a8"
WRONG = "wrong-key-0c77e1f9"
"""Another secret, typed by mistake in place of the key."""

HASH = hash_key(HASHED, b"0123456789abcdef")

app = FastAPI(title="guarded")
app.add_middleware(
    LensMiddleware,
    config=LensConfig(
        report_keys={"root": PLAIN, "ci": KeyConfig(HASH, scope="read")},
        flush_interval=0.2,
        log_sample_rate=1.0,
        log_query_values=True,
        log_clients="hashed",
        login_max_failures=1_000,
    ),
)
app.include_router(lens_admin)


@app.api_route("/own", methods=["GET", "POST"])
async def own(request: Request) -> int:
    """Reads everything that it is given."""
    return len(request.headers) + len(await request.body())


@app.get("/crash")
def crash(request: Request) -> None:
    """Crashes with secrets in its variables."""
    secret = request.headers["x-lens-key"] + str(dict(request.cookies))
    raise LookupError(f"{len(secret)} characters")
