"""An application that says which settings its worker goes by, for servers with several workers."""

import os

from fastapi import FastAPI, Request

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.runtime.lens import Lens

FLUSH_SECONDS = 0.5

app = FastAPI()
app.add_middleware(
    LensMiddleware, config=LensConfig(app_name="governed", flush_interval=FLUSH_SECONDS)
)
app.include_router(lens_admin)

_REFRESHES: list[dict[str, object]] = []
_refresh = Lens.refresh_settings


def refresh_and_note(lens: Lens) -> None:
    """Take settings that have changed, as each flush does, and note what they are."""
    _refresh(lens)
    _REFRESHES.append(in_force(lens))


Lens.refresh_settings = refresh_and_note  # type: ignore[method-assign, assignment]


@app.get("/in-force")
async def tell(request: Request) -> dict[str, object]:
    """Settings in use by this worker, now and after each flush."""
    lens = request.scope["fastapi_lens"]
    return {"pid": os.getpid(), "now": in_force(lens), "after_each_flush": _REFRESHES}


def in_force(lens: Lens) -> dict[str, object]:
    """The settings that tests change."""
    settings = lens.settings
    return {
        "ttl_days": settings.config.ttl_days,
        "rules": [rule.pattern for rule in settings.rules.all],
    }
