"""Text that a client has sent, as pages, files and the log show it."""

import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from tests.admin.conftest import Site

MakeSite = Callable[..., Site]


def test_a_secret_in_a_path_is_on_no_page_and_in_no_file(make_site: MakeSite) -> None:
    app = FastAPI()
    app.add_api_route("/reset/{token}/{page}", lambda page: page)
    app.add_api_route("/files/{api_key:path}", lambda: 1)
    site = make_site(app, log_sample_rate=1.0, log_slowest=0, log_query_values=True)
    site.client.get("/reset/hunter2/7?APIKey=hunter2&q=1")
    site.client.get("/files/hunter2/hunter2")
    assert site.lens.flusher.flush()

    for page in ("requests", "requests.csv", "requests.json"):
        text = site.get(f"/lens/{page}").text
        assert "hunter2" not in text
        assert "files" in text


def test_an_override_of_the_direction_is_seen_on_pages_and_in_files(make_site: MakeSite) -> None:
    app = FastAPI()
    app.add_api_route("/any/{rest:path}", lambda rest: rest, tags=["a\u202eb"])
    site = make_site(app, log_sample_rate=1.0, log_slowest=0)
    site.client.get("/any/txt.%E2%80%AEexe%E2%80%8B")
    assert site.lens.flusher.flush()

    for page in ("requests", "requests.csv", "requests.json", "", "report", "export.json"):
        text = site.get(f"/lens/{page}").text
        assert not {"\u202e", "\u200b"} & set(text)
        assert "\\u202e" in text or not page.startswith("requests")
    assert 'value="\u202e"' in site.get("/lens/requests?q=%E2%80%AE").text


def test_the_hint_at_a_middleware_shows_no_letter_of_the_request(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()

    @app.middleware("http")
    async def cached(request: object, call_next: object) -> object:
        from starlette.responses import PlainTextResponse  # noqa: PLC0415

        return PlainTextResponse("cached")

    app.add_api_route("/x/{token}", lambda: 1)
    site = make_site(app, include=False)
    with caplog.at_level(logging.WARNING):
        site.client.get("/x/a%0AINFO%20forged")
    hints = [line for line in caplog.text.splitlines() if "without a route" in line]
    assert all("forged" not in line for line in caplog.text.splitlines())
    assert len(hints) <= 1
