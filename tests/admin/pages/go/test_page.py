"""The search for pages, actions and endpoints, through HTTP."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from fastapi_lens import KeyConfig
from fastapi_lens.admin.pages.go import page as go_page
from fastapi_lens.admin.router import NAVIGATION
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.ignore_rules import Rule
from tests.admin.conftest import Site
from tests.admin.test_ignored import save_rules
from tests.support.pages import field, link, links, page_text, part, table

MakeSite = Callable[..., Site]


def found(site: Site, q: str, **headers: str) -> dict[str, str]:
    """The results of a search: the addresses by name, in their order."""
    text = site.fragment(f"/lens/go?q={quote(q)}", **headers).text
    return {one.name: one.href for one in links(text)}


def test_without_a_search_the_pages_come_first(site: Site) -> None:
    results = list(found(site, ""))
    assert results[:6] == [f"{label} Page" for label, _ in NAVIGATION]
    assert results[6:9] == ["Callers Page", "Audit log Page", "Danger zone Page"]
    assert len(results) == 12


@pytest.mark.parametrize(
    ("q", "first", "href"),
    [
        ("overview", "Overview Page", "/lens/"),
        ("EXCEPT", "Exceptions Page", "/lens/exceptions"),
        ("clients", "Callers Page", "/lens/callers"),
        ("dead", "Dead endpoints List", "/lens/endpoints?status=dead&days=7"),
        ("never", "Never called endpoints List", "/lens/endpoints?status=never_called&days=7"),
        ("failing", "Most failing endpoints List", "/lens/endpoints?days=7&sort=-errors_5xx"),
        ("slow", "Slowest endpoints List", "/lens/endpoints?days=7&sort=-p95"),
        ("depre", "Deprecated endpoints List", "/lens/endpoints?days=7&deprecated=1"),
        ("by tag", "Endpoints by tag List", "/lens/endpoints?group=tag&days=7"),
        ("safe", "Cleanup: Safe to remove List", "/lens/cleanup?verdict=safe_to_remove"),
        ("with 5xx", "Requests with 5xx List", "/lens/requests?status=5xx&days=7"),
        ("bots", "Callers: health checks and bots List", "/lens/callers?noise=1"),
        ("retention", "Settings: Retention Settings", "/lens/settings#retention"),
        ("ignore", "Settings: Ignore rules Settings", "/lens/settings#rules"),
        ("workers", "Settings: Workers Settings", "/lens/settings#workers"),
        ("settings: rec", "Settings: Recording Settings", "/lens/settings#recording"),
        ("csv", "Endpoints as CSV File", "/lens/endpoints.csv?days=7"),
        ("export json req", "Requests as JSON File", "/lens/requests.json?days=7"),
    ],
)
def test_places_are_found_by_the_beginnings_of_their_words(
    site: Site, q: str, first: str, href: str
) -> None:
    results = found(site, q)
    assert next(iter(results.items())) == (first, href)


def test_every_place_can_be_opened(site: Site) -> None:
    results: dict[str, str] = {}
    for word in ("page", "list", *"abcdefghijklmnopqrstuvwxyz"):
        results |= found(site, word)
    places = {one for one in results.values() if not one.startswith("/lens/endpoints/")}
    assert len(places) > 35
    for href in places:
        answer = site.get(href)
        assert answer.status_code == 200, href
        _, _, anchor = href.partition("#")
        assert f'id="{anchor}"' in answer.text or not anchor, href


def test_a_setting_leads_to_its_section(site: Site) -> None:
    assert "Settings: Recording Settings" in found(site, "share")


def test_endpoints_are_found_as_in_their_list_and_those_with_most_calls_first(site: Site) -> None:
    site.count("POST", "/users", 3)
    for q in ("users", "read_user", "POST users", "conftest.py"):
        listed = table(site.get(f"/lens/endpoints?q={quote(q)}").text).names
        names = [one for one in found(site, q) if one.startswith(("GET", "POST"))]
        assert [one.split(" ")[:2] for one in names] == [one.split(" ") for one in listed]
        assert names
    assert list(found(site, "/users")) == [
        "POST /users Active",
        "GET /users/{user_id} Never called",
    ]


def test_an_endpoint_leads_to_its_page_in_the_remembered_period(site: Site) -> None:
    (href,) = found(site, "/health").values()
    assert href.startswith("/lens/endpoints/")
    assert href.endswith("?days=7")
    site.client.get("/lens/endpoints?days=30")
    text = site.client.get("/lens/go?q=/health").text
    assert link(text, "GET /health Never called").href == href.replace("days=7", "days=30")
    dead = site.client.get("/lens/go?q=dead").text
    assert link(dead, "Dead endpoints List").href == "/lens/endpoints?status=dead&days=30"


def test_at_most_twelve_results_and_a_link_to_all_endpoints(make_site: MakeSite) -> None:
    app = FastAPI()
    for number in range(40):
        app.add_api_route(f"/exports/{number}", lambda: None)
    site = make_site(app)
    text = site.fragment("/lens/go?q=export").text
    results = list(found(site, "export"))
    # Files are found by this word as well.
    assert [one.rpartition(" ")[2] for one in results[:6]] == ["Page"] + ["File"] * 5
    assert len([one for one in results if "/exports/" in one]) == 6
    assert results[12:] == ["All 40 endpoints that match"]
    assert link(text, results[12]).href == "/lens/endpoints?q=export&days=7"
    assert part(text, "lens-go-found") == "12 results, 34 more endpoints"
    assert len(found(site, "/exports")) == 13


def test_an_ignored_endpoint_is_not_found(make_site: MakeSite) -> None:
    site = make_site(exclude_paths=["/health"])
    assert found(site, "/health") == {}


def test_no_match_says_so(site: Site) -> None:
    text = site.get("/lens/go?q=<script>alert(1)</script>").text
    assert "Nothing matches <script>alert(1)</script>." in page_text(text)
    assert "<script>alert" not in text
    assert field(text, "q").value == "<script>alert(1)</script>"


def test_hostile_text_of_a_path_is_text(make_site: MakeSite) -> None:
    app = FastAPI()
    app.add_api_route('/a"><img src=x>/<script>b</script>', lambda: None)
    text = make_site(app).get("/lens/go?q=script").text
    assert 'GET /a"><img src=x>/<script>b</script> Never called' in page_text(text)
    assert "<img" not in text
    assert "<script>b" not in text


def test_the_first_result_can_be_opened_at_once(site: Site) -> None:
    answer = site.get("/lens/go?q=/health&open=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == found(site, "/health")["GET /health Never called"]
    assert site.get("/lens/go?q=retention&open=1").headers["location"].endswith("#retention")
    assert site.get("/lens/go?open=1").headers["location"] == "/lens/"


def test_where_nothing_matches_nothing_is_opened(site: Site) -> None:
    answer = site.get("/lens/go?q=nothing-of-this-name&open=1")
    assert answer.status_code == 200
    assert "Nothing matches nothing-of-this-name." in page_text(answer.text)


def test_a_fragment_is_the_list_even_if_the_first_result_is_to_be_opened(site: Site) -> None:
    answer = site.fragment("/lens/go?q=dead&open=1")
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert link(answer.text, "Dead endpoints List").href


def test_in_the_dialog_a_search_leaves_the_address_of_the_page(site: Site) -> None:
    def asked(current: str) -> dict[str, str]:
        answer = site.fragment("/lens/go?q=dead", **{"HX-Current-URL": current})
        return {name: value for name, value in answer.headers.items() if name.startswith("hx-")}

    assert asked("http://testserver/lens/endpoints?days=7") == {"hx-push-url": "false"}
    assert asked("http://testserver/lens/go") == {"hx-replace-url": "/lens/go?q=dead"}
    assert asked("http://[") == {"hx-push-url": "false"}


def test_a_reader_finds_what_a_reader_may_open(make_site: MakeSite) -> None:
    keys = {"looks": KeyConfig("only-looks", scope="read"), "changes": KeyConfig("may-change")}
    site = make_site(report_keys=keys)
    for q in ("audit", "danger"):
        # An endpoint of this name might be found, too.
        assert found(site, q, **{"X-Lens-Key": "only-looks"}) == {}
        assert len(found(site, q, **{"X-Lens-Key": "may-change"})) == 1
    assert found(site, "retention", **{"X-Lens-Key": "only-looks"}) != {}
    assert site.get("/lens/go").status_code == 303


def test_every_page_has_the_control_and_the_dialog_and_its_own_page_has_no_second_box(
    site: Site,
) -> None:
    for path in ("/lens/", "/lens/settings", "/lens/endpoints"):
        text = site.get(path).text
        assert link(text, "Go to").href == "/lens/go"
        assert text.count('id="lens-go-q"') == text.count('id="lens-go-results"') == 1
    own = site.get("/lens/go").text
    assert own.count('id="lens-go-q"') == 1
    assert 'id="lens-go"' not in own
    assert "<dialog" not in site.fragment("/lens/go").text


def test_a_search_computes_no_percentile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.count("GET", "/health", 3)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("histograms were read")

    monkeypatch.setattr(site.lens.reader, "with_histograms", fail)
    assert "GET /health Active" in found(site, "/health")


def test_no_search_reads_no_endpoint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise AssertionError("endpoints were read")

    monkeypatch.setattr(site.lens.reader, "endpoints", fail)
    assert len(found(site, "")) == 12


def count_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows with each time that the endpoints are read."""
    reads: list[object] = []
    read = site.lens.reader.endpoints

    def counted(**of: Any) -> list[Endpoint]:
        reads.append(of["window"])
        return read(**of)

    monkeypatch.setattr(site.lens.reader, "endpoints", counted)
    return reads


def test_the_letters_of_a_word_read_the_endpoints_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_page, "LIST_SECONDS", 3_600.0)
    reads = count_reads(site, monkeypatch)
    for word in ("/h", "/he", "/hea"):
        assert "GET /health Never called" in found(site, word)
    assert len(reads) == 1
    # A rule has its effect at once.
    save_rules(site, Rule(id="a", pattern="/health"))
    assert "GET /health Never called" not in found(site, "/hea")
    assert len(reads) == 2


def test_a_later_search_reads_the_endpoints_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_page, "LIST_SECONDS", 0.0)
    reads = count_reads(site, monkeypatch)
    found(site, "/h")
    site.count("GET", "/health")
    assert "GET /health Active" in found(site, "/h")
    assert len(reads) == 2
