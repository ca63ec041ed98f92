"""An application that says which settings its worker goes by, for servers with several workers."""

import os

from fastapi import FastAPI, Request

from fastapi_lens import LensConfig, LensMiddleware, lens_admin

FLUSH_SECONDS = 0.5

app = FastAPI()
app.add_middleware(
    LensMiddleware, config=LensConfig(app_name="governed", flush_interval=FLUSH_SECONDS)
)
app.include_router(lens_admin)


@app.get("/in-force")
async def in_force(request: Request) -> dict[str, object]:
    """The settings that this worker uses now."""
    settings = request.scope["fastapi_lens"].settings
    return {
        "pid": os.getpid(),
        "ttl_days": settings.config.ttl_days,
        "rules": [rule.pattern for rule in settings.rules.all],
    }
