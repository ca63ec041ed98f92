"""A running shop with a past, and somebody who is signed in."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import shop as the_shop
from tests.support.servers import Server, uvicorn

ROOT = Path(__file__).parents[2]


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
    """Starts a shop with settings of its own, which is stopped after the test."""

    def start(*, history: bool = True, **settings: str) -> Server:
        if history:
            (tmp_path / "lens.db").write_bytes(past.read_bytes())
        return run_server("tests.browser.shop:app", args=_ARGS, env={**_ENV, **settings})

    return start


@pytest.fixture(scope="module")
def shop(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One shop for all tests of a module that change nothing but counts."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "lens.db").write_bytes(past.read_bytes())
    with uvicorn("tests.browser.shop:app", cwd=folder, env=_ENV, args=_ARGS) as server:
        yield server


@pytest.fixture
def signed_in(shop: Server, page: Page) -> Page:
    """The page of all endpoints, seen by somebody who has signed in."""
    sign_in(page, shop)
    return page


def sign_in(page: Page, shop: Server) -> None:
    """Sign in through the form and wait for the endpoints."""
    page.goto(f"{shop.url}/lens/")
    page.get_by_label("Key").fill(the_shop.KEY)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{shop.url}/lens/")


_ARGS = ["--app-dir", str(ROOT), "--log-level", "warning"]
_ENV = {
    "LENS_REPORT_KEY": the_shop.KEY,
    "LENS_APP_NAME": the_shop.NAME,
    "LENS_ENVIRONMENT": "test",
    "LENS_FLUSH_INTERVAL": "0.1",
}
