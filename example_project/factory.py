"""Puts the orders API together. Importing it makes nothing; each call makes one application."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles

from example_project.callers import caller_of
from example_project.clients import KEY_HEADER
from example_project.credentials import DEMO_KEY
from example_project.database import Database
from example_project.errors import answer_shop_errors
from example_project.models import TABLES
from example_project.partner import create_partner_app
from example_project.routers import (
    catalog,
    customers,
    feeds,
    health,
    legacy,
    orders,
    promotions,
    reports,
    search,
    shipments,
    webhooks,
)
from example_project.seed import seed
from example_project.settings import Settings
from example_project.shop import Shop
from fastapi_lens import LensConfig, LensMiddleware, lens_admin

APP_NAME = "orders-api"
RELEASE = "2.14.0"
STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"
"""Of the lens: what this application says in its admin; see docs/templates.md."""


def lens_config(settings: Settings) -> LensConfig:
    """The lens's settings for this API; the environment's LENS_… adds to them."""
    return LensConfig(
        report_key=os.environ.get("LENS_REPORT_KEY") or DEMO_KEY,
        app_name=APP_NAME,
        environment="demo",
        release=RELEASE,
        db_path=os.environ.get("LENS_DB_PATH", str(settings.lens_database)),
        consumer=caller_of,
        callers="agent",
        caller_header=KEY_HEADER,
        template_dirs=(str(TEMPLATES),),
    )


def create_app(settings: Settings | None = None, config: LensConfig | None = None) -> FastAPI:
    """The orders API, with the lens in it.

    Args:
        settings: Where it keeps its files; None takes them from the environment.
        config: The lens's settings; None takes those of `lens_config`.
    """
    settings = settings or Settings.from_environment()
    settings.make_folders()
    shop = Shop(settings, Database(settings.shop_database))
    app = FastAPI(
        title="Orders API",
        version=RELEASE,
        description="The back office of a small web shop for coffee and tea.",
        lifespan=_lifespan,
    )
    app.state.shop = shop
    answer_shop_errors(app)
    _include_routers(app)
    app.mount("/partner", create_partner_app(shop))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    app.add_middleware(LensMiddleware, config=config or lens_config(settings))
    app.include_router(lens_admin)
    return app


def _include_routers(app: FastAPI) -> None:
    version_2 = APIRouter(prefix="/v2")
    for part in (catalog, search, feeds, customers, orders, promotions, reports):
        version_2.include_router(part.router)
    version_2.include_router(shipments.tracking_router)
    for router in (health.router, version_2, legacy.router, webhooks.router):
        app.include_router(router)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    shop: Shop = app.state.shop
    shop.database.prepare(TABLES, seed)
    yield
    shop.database.close()
