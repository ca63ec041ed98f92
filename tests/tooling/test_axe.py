"""Axe has to find what is wrong, also under a policy that lets no script run."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.support.servers import Server
from tests.support.axe import axe_violations

APP = """
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

PAGE = "<!doctype html><html lang=en><title>page</title><link rel=icon href=data:,><main>{}</main>"
BODIES = {"right": "<h1>right</h1><p>text</p>", "wrong": "<h1>wrong</h1><img src=data:,>"}


async def page(request):
    body = BODIES[request.path_params["name"]]
    policy = {"Content-Security-Policy": "default-src 'none'; img-src data:"}
    return HTMLResponse(PAGE.format(body), headers=policy)


app = Starlette(routes=[Route("/{name}", page)])
"""


def test_axe_tells_a_page_that_is_wrong_from_one_that_is_right(
    page: Page, run_server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "judged.py").write_text(APP, encoding="utf-8")
    url = run_server("judged:app").url

    page.goto(f"{url}/right")
    assert axe_violations(page) == []

    page.goto(f"{url}/wrong")
    (line,) = axe_violations(page)
    assert line.startswith("image-alt: ")
    assert line.endswith("(img)")
