"""A running shop with a past, and somebody who is signed in."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from benchmarks.support.servers import Server, uvicorn
from tests.browser import shop as the_shop

ROOT = Path(__file__).parents[2]

_APP = "tests.browser.shop:app"
_ARGS = ["--app-dir", str(ROOT), "--log-level", "warning"]
_ENV = {
    "LENS_REPORT_KEY": the_shop.KEY,
    "LENS_APP_NAME": the_shop.NAME,
    "LENS_ENVIRONMENT": "test",
    "LENS_FLUSH_INTERVAL": "0.1",
}


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the shop's history."""
    path = tmp_path_factory.mktemp("past") / "lens.db"
    the_shop.lay_down_history(path, now=time.time())
    return path


@pytest.fixture
def start_shop(
    past: Path, tmp_path: Path, run_server: Callable[..., Server]
) -> Callable[..., Server]:
    """Starts a shop of its own for one test: ``start_shop(history=False, LENS_TTL_DAYS="3")``."""

    def start(
        *, history: bool = True, app: str = _APP, args: tuple[str, ...] = (), **settings: str
    ) -> Server:
        if history:
            (tmp_path / "lens.db").write_bytes(past.read_bytes())
        return run_server(app, args=[*_ARGS, *args], env={**_ENV, **settings})

    return start


@pytest.fixture(scope="session")
def shop(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One shop for all tests that change nothing but counts."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "lens.db").write_bytes(past.read_bytes())
    with uvicorn(_APP, cwd=folder, env=_ENV, args=_ARGS) as server:
        yield server


@pytest.fixture(scope="session")
def session_cookie(shop: Server) -> Any:
    """The session of somebody who has signed in, as a browser takes it."""
    return sign_in(shop)


@pytest.fixture
def signed_in(shop: Server, page: Page, session_cookie: Any) -> Page:
    """The page of all endpoints, seen by somebody who has signed in."""
    page.context.add_cookies([session_cookie])
    page.goto(f"{shop.url}/lens/endpoints")
    return page


@pytest.fixture
def scripts_off(chromium: Browser, context_options: dict[str, Any]) -> Iterator[Page]:
    """A page of a browser in which no script runs."""
    context = chromium.new_context(**context_options, java_script_enabled=False)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def sign_in(shop: Server) -> Any:
    """Sign in without a browser and give the cookie."""
    with httpx.Client(base_url=shop.url) as client:
        answer = client.post(
            "/lens/login", data={"key": the_shop.KEY}, headers={"Origin": shop.url}
        )
        assert answer.status_code == 303
        ((name, value),) = client.cookies.items()
    return {"name": name, "value": value, "url": f"{shop.url}/lens"}
