"""Text that a client has sent, as pages, files and the log show it."""

import logging
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI

from benchmarks.support.rows import caller
from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.text.escaping import visible
from tests.admin.conftest import Site
from tests.support.pages import page_text

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

    for page in ("requests", "requests.csv", "requests.json", "", "report", "endpoints.json"):
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


NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "שלום עולם",
    "👩‍👩‍👧 caller 🚀",
    "a\u202egnp.b",
    "=1+1",
    "x" * 200,
)
"""Names that a client or a host's hook may give itself."""


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_caller_is_text_on_every_page(make_site: MakeSite, name: str) -> None:
    site = make_site(consumer=lambda _scope: name, log_sample_rate=1.0, log_slowest=0)
    who = caller(name, CallerKind.HOOK, "site")
    for path in ("/users/{user_id}", "/users"):
        method = "POST" if path == "/users" else "GET"
        site.count_at(site.lens.clock() - 60, method, path, by=who)
    site.client.get("/health")
    assert site.lens.flusher.flush()

    own = f"/lens/callers/{who.id:016x}"
    (key,) = (
        one.key
        for one in site.lens.reader.endpoints(window=Window(), now=site.lens.clock())
        if one.path == "/users"
    )
    pages = [
        *("/lens/callers", own, f"{own}/forget", f"/lens/endpoints?caller={who.id:016x}"),
        *(f"/lens/endpoints/{key}", "/lens/cleanup"),
        # The recorder replaces invisible characters.
        *(("/lens/requests", f"/lens/requests?caller={who.id:016x}") if name.isprintable() else ()),
    ]
    for page in pages:
        text = site.get(page).text
        assert visible(name) in page_text(text), page
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
        # Only what is in such an element is never read as an attribute of htmx.
        assert outside_of_ignored(text, visible(name)) == [], page
    for file in ("callers.csv", f"callers/{who.id:016x}.csv", "cleanup.csv", "requests.csv"):
        text = site.get(f"/lens/{file}").text
        assert "\n=1" not in text
        assert ",=1" not in text


def outside_of_ignored(html: str, name: str) -> list[str]:
    """The elements with this text that are not in an element with ``hx-ignore``."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[tuple[str, bool]] = []
            self.found: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in VOID:
                ignored = any(one for _, one in self.open) or "hx-ignore" in dict(attrs)
                self.open.append((tag, ignored))

        def handle_endtag(self, tag: str) -> None:
            while self.open and self.open.pop()[0] != tag:
                pass

        def handle_data(self, data: str) -> None:
            tags = [tag for tag, _ in self.open]
            if name in data and "title" not in tags and not any(one for _, one in self.open):
                self.found.append(" ".join(tags))

    reader = Reader()
    reader.feed(html)
    return reader.found


VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})
