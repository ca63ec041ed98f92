"""An application that lets every site read it and tells browsers to name none. Attacks nothing."""

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import HTMLResponse, Response

from fastapi_lens import LensConfig, LensMiddleware, lens_admin

INSIDE = "/things-of-this-machine"

app = FastAPI(title="exposed")
app.add_middleware(LensMiddleware, config=LensConfig(flush_interval=0.1))
app.include_router(lens_admin)
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"])


@app.middleware("http")
async def no_referrer(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """As lists of headers for hardening advise."""
    response = await call_next(request)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@app.get("/page")
def page(to: str = "/") -> HTMLResponse:
    """Of another site, when it is asked for by another name."""
    return HTMLResponse(f'<!doctype html><title>x</title><a href="{to}">on</a>')


@app.get(INSIDE)
def inside() -> None:
    """Text that only the admin shows."""
