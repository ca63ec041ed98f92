"""A page says what it is in its title, and explains its words under the question mark."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from tests.admin.conftest import Site
from tests.support.pages import links, page_text, part, title

MakeSite = Callable[..., Site]
PAGES = (
    *("/lens/", "/lens/endpoints", "/lens/cleanup", "/lens/callers", "/lens/exceptions"),
    *("/lens/requests", "/lens/settings", "/lens/settings/audit", "/lens/settings/danger"),
    *("/lens/settings/danger/callers", "/lens/go"),
)


@pytest.fixture
def busy(make_site: MakeSite) -> Site:
    """A site with two endpoints that fail alike, and their requests in the log."""
    app = FastAPI()

    def broken() -> None:
        raise LookupError("nothing")

    app.add_api_route("/one", broken)
    app.add_api_route("/two", broken)
    site = make_site(app, environment="test", callers="agent")
    for path in ("/one", "/two"):
        with pytest.raises(LookupError):
            site.client.get(path)
    assert site.lens.flusher.flush()
    return site


def details(site: Site) -> list[str]:
    """The addresses of everything that has a page of its own."""
    found = {one.href.partition("?")[0] for page in PAGES for one in links(site.get(page).text)}
    own = re.compile(r"/lens/(endpoints|exceptions|requests|callers)/\w+")
    return sorted(filter(own.fullmatch, found))


def test_no_two_pages_have_the_same_title(busy: Site) -> None:
    pages = [*PAGES, *details(busy)]
    titles = {page: title(busy.get(page).text) for page in pages}
    assert len(pages) > len(PAGES) + 5
    assert sorted(set(titles.values())) == sorted(titles.values())
    # The application and its environment are the end of each.
    assert {one.rpartition(" · ")[2] for one in titles.values()} == {"site (test)"}


def help_of(text: str) -> str:
    """The words of the help that are about the page."""
    said = part(text, "lens-help")
    assert said is not None
    return said.partition("Words on this page")[2].partition("Words on other pages")[0]


def test_the_help_begins_with_the_words_of_the_page(busy: Site) -> None:
    words = {page: help_of(busy.get(page).text) for page in PAGES}
    assert "Never called" in words["/lens/endpoints"]
    assert "Safe to remove" not in words["/lens/endpoints"]
    assert "Safe to remove" in words["/lens/cleanup"]
    assert "p50, p95, p99" in words["/lens/"]
    assert "Health check or bot" in words["/lens/callers"]
    assert "Kept because" in words["/lens/requests"]
    assert "Not yet written" in words["/lens/settings"]
    assert all(words.values())


def test_the_words_of_other_pages_are_there_too(busy: Site) -> None:
    said = part(busy.get("/lens/endpoints").text, "lens-help") or ""
    assert "Safe to remove" in said.partition("Words on other pages")[2]


def test_the_words_have_the_limits_in_use(make_site: MakeSite) -> None:
    site = make_site(cold_threshold_days=3, dead_threshold_days=21, slow_threshold_ms=250)
    said = help_of(site.get().text)
    assert "No calls for more than 3 days." in said
    assert "No calls for more than 21 days." in said
    assert "A p95 above 250 ms is slow." in said


def test_the_columns_of_the_table_are_explained_in_the_help_and_over_their_headers(
    busy: Site,
) -> None:
    text = busy.get("/lens/callers?noise=1").text
    sentence = "Endpoints that it has called."
    assert f'title="{sentence}"' in text
    assert sentence in help_of(text)
    assert "Known by Where the name comes from." in page_text(text)
