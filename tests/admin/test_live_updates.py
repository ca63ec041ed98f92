"""Live updates of every page that has them: nothing is sent twice, and nothing new is missed."""

import pytest

from fastapi_lens.storage.schema.identities import endpoint_id
from tests.admin.conftest import Site
from tests.support.pages import addresses

LIVE = "div#lens-live"
HEALTH = f"{endpoint_id('site', 'GET', '/health'):016x}"
PAGES = (
    "/lens/",
    "/lens/?prefix=/users",
    "/lens/endpoints",
    "/lens/endpoints?sort=-last&days=1",
    "/lens/endpoints?group=tag",
    "/lens/endpoints?chart=1",
    f"/lens/endpoints/{HEALTH}",
    "/lens/exceptions",
    "/lens/callers",
)


@pytest.fixture
def called(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with a call, at the beginning of a minute that does not end."""
    site.count("GET", "/health")
    now = site.lens.clock() // 60 * 60 + 1
    monkeypatch.setattr(site.lens, "clock", lambda: now)
    return site


@pytest.mark.parametrize("address", PAGES)
def test_an_update_without_news_is_empty_and_one_with_a_call_is_not(
    called: Site, address: str
) -> None:
    assert 'id="lens-live"' in called.get(address).text
    first = called.fragment(address, source=LIVE)
    known = {"If-None-Match": first.headers["etag"]}
    again = called.fragment(address, source=LIVE, **known)
    assert (again.status_code, again.content) == (304, b"")
    # What a full page showed is also known to the first update after it.
    assert called.get(address).headers["etag"] == first.headers["etag"]

    called.count("GET", "/health")
    news = called.fragment(address, source=LIVE, **known)
    assert news.status_code == 200
    assert news.headers["etag"] != first.headers["etag"]


def test_the_number_of_new_requests_is_sent_once(called: Site) -> None:
    (address,) = [one for one in addresses(called.get("/lens/requests").text) if "/new" in one]
    first = called.fragment(address, source=LIVE)
    known = {"If-None-Match": first.headers["etag"]}
    again = called.fragment(address, source=LIVE, **known)
    assert (again.status_code, again.content) == (304, b"")


def test_pages_that_are_not_live_ask_for_no_update(called: Site) -> None:
    # Rows are chosen there, and a verdict changes once a day at most.
    assert 'id="lens-live"' not in called.get("/lens/cleanup").text
