import re
from collections.abc import Callable

import pytest
from fastapi import APIRouter, FastAPI

from fastapi_lens import create_lens_admin
from fastapi_lens.reporting.workers import State
from tests.admin.conftest import Site
from tests.support.pages import Table, addresses, field, figures, link, links, page_text, table

MakeSite = Callable[..., Site]
NOTHING_YET = State(
    version="",
    log_version="",
    complete_to=None,
    workers=0,
    dropped=0,
    core_share=None,
    oldest_start=0,
    opened={},
)


def endpoints(text: str) -> Table:
    return table(text, "Endpoints")


def test_a_row_says_what_an_endpoint_did(site: Site) -> None:
    site.count("GET", "/users/{user_id}", 1_200)
    site.count("GET", "/users/{user_id}", 30, status=404)
    site.count("GET", "/users/{user_id}", 20, status=503, duration_ns=900_000_000)
    text = site.get("/lens/endpoints?q=user_id").text
    row = endpoints(text)["GET /users/{user_id}"]
    assert (row["Status"], row["Calls"], row["Trend"]) == ("Active", "1,250", "")
    assert (row["5xx"], row["4xx"]) == ("20 1.6%", "30 2.4%")
    percentiles = [float(row[name]) for name in ("p50", "p95", "p99")]
    assert percentiles == pytest.approx([10, 10, 900], rel=0.014)
    assert re.fullmatch(r"just now|\d+ s ago", row["Last call"])
    assert "0–5%" in page_text(text)
    assert "read_user" in text
    assert re.fullmatch(r"admin/conftest\.py:\d+", row["Handler"])
    shown = figures(text)
    assert (shown["5xx"], shown["4xx"]) == ("1.6% 20", "2.4% 30")


def test_the_title_of_a_status_says_whether_the_endpoint_may_be_deleted(site: Site) -> None:
    assert "Not enough observation" in endpoints(site.get().text)["GET /health"].titles


def test_a_row_without_calls_has_no_percentiles(site: Site) -> None:
    row = endpoints(site.get("/lens/endpoints?method=POST").text)["POST /users"]
    assert (row["Endpoint"].endswith("deprecated"), row["Status"]) == (True, "Never called")
    assert (row["Calls"], row["Trend"]) == ("0", "")
    assert [row[name] for name in ("5xx", "4xx", "p50", "p95", "p99")] == ["–"] * 5
    assert re.fullmatch(r"never, since \d+ [A-Z][a-z]{2}", row["Last call"])
    assert row["Handler"].startswith("admin/conftest.py:")


def test_a_p95_is_marked_only_above_the_limit(make_site: MakeSite) -> None:
    site = make_site(slow_threshold_ms=100.0)
    site.count("GET", "/health", duration_ns=99_000_000)
    assert "slow" not in endpoints(site.get().text)["GET /health"]["p95"]
    site.count("GET", "/health", 30, duration_ns=150_000_000)
    assert re.fullmatch(r"1\d\d slow", endpoints(site.get().text)["GET /health"]["p95"])


def test_tabs_and_chips_keep_the_rest_of_the_view(site: Site) -> None:
    text = site.get("/lens/endpoints?q=user&method=GET&days=30&sort=p99&page=9&nonsense=1").text
    found = addresses(text)
    assert "/lens/endpoints?q=user&status=dead&method=GET&days=30&sort=p99" in found
    assert link(text, "1h").href == "/lens/endpoints?q=user&method=GET&days=1h&sort=p99"
    assert "/lens/endpoints?q=user&method=GET&days=30&sort=-p99" in found
    assert link(text, "Clear filters").href == "/lens/endpoints?days=30&sort=p99"
    assert not any("page=" in address or "nonsense" in address for address in found)
    assert (field(text, "days").value, field(text, "sort").value) == ("30", "p99")


def test_the_sorted_column_is_announced(site: Site) -> None:
    text = site.get("/lens/endpoints?sort=-p95").text
    assert endpoints(text).orders == {"p95": "descending"}
    assert link(text, "p95 ms").href == "/lens/endpoints?days=7&sort=p95"
    assert endpoints(site.get("/lens/endpoints?sort=path").text).orders == {"Endpoint": "ascending"}


@pytest.mark.parametrize(
    ("source", "current", "headers"),
    [
        ("a#lens-t-dead", "/lens/", {"hx-push-url": "/lens/endpoints?q=user&days=30"}),
        (
            "form#lens-filters",
            "/lens/endpoints?q=user",
            {"hx-push-url": "/lens/endpoints?q=user&days=30"},
        ),
        (
            "input#lens-q",
            "/lens/endpoints?days=30",
            {"hx-push-url": "/lens/endpoints?q=user&days=30"},
        ),
        (
            "input#lens-q",
            "/lens/endpoints?q=use&days=30",
            {"hx-replace-url": "/lens/endpoints?q=user&days=30"},
        ),
        ("form#lens-filters", "/lens/endpoints?q=user&days=30", {"hx-push-url": "false"}),
        ("div#lens-live", "/lens/endpoints?q=user", {"hx-push-url": "false"}),
    ],
)
def test_the_address_follows_explicit_choices(
    site: Site, source: str, current: str, headers: dict[str, str]
) -> None:
    answer = site.fragment(
        "/lens/endpoints?status=&days=30&q=+user&method=&sort=bad",
        source=source,
        **{"HX-Current-URL": f"http://testserver{current}"},
    )
    assert {name: value for name, value in answer.headers.items() if "-url" in name} == headers


def test_a_full_page_changes_no_address(site: Site) -> None:
    answer = site.get("/lens/endpoints?days=7")
    assert not any(name.startswith("hx-") for name in answer.headers)


def test_a_fragment_that_is_shown_already_is_not_made_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.count("GET", "/health")
    now = site.lens.clock() // 60 * 60
    monkeypatch.setattr(site.lens, "clock", lambda: now + 1)
    tag = site.fragment().headers["etag"]
    same = site.fragment(**{"If-None-Match": tag})
    assert (same.status_code, same.text) == (304, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", same.headers["lens-complete-to"])
    assert same.headers["hx-push-url"] == "false"

    # Another view, a full page, the next minute, or a new call: each is answered in full.
    assert site.fragment("/lens/endpoints?days=1", **{"If-None-Match": tag}).status_code == 200
    assert site.get(**{"If-None-Match": tag}).status_code == 200
    monkeypatch.setattr(site.lens, "clock", lambda: now + 61)
    assert site.fragment(**{"If-None-Match": tag}).status_code == 200
    monkeypatch.setattr(site.lens, "clock", lambda: now + 1)
    site.count("GET", "/health")
    assert site.fragment(**{"If-None-Match": tag}).status_code == 200


def test_before_anything_was_flushed_the_page_says_when_to_look_again(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(flush_interval=2.5)
    monkeypatch.setattr(site.lens.reader, "endpoints", lambda **_: [])
    monkeypatch.setattr(site.lens.reader, "state", lambda _now: NOTHING_YET)
    monkeypatch.setattr(site.lens.database, "size_bytes", lambda _connection: None)
    text = site.get().text
    assert "No endpoints yet" in text
    assert "within 2.5 seconds" in text
    assert "Nothing recorded yet" in text
    assert "database" not in text.partition('id="lens-health"')[2].partition("</footer>")[0]
    tag = site.fragment().headers["etag"]
    assert "lens-complete-to" not in site.fragment(**{"If-None-Match": tag}).headers


def test_the_first_run_says_how_to_make_a_call(site: Site) -> None:
    text = site.get().text
    assert '<code id="lens-curl" hx-ignore>curl http://testserver/health</code>' in text
    assert len(endpoints(text).rows) == 3
    site.count("GET", "/health")
    assert "lens-curl" not in site.get().text


def test_no_match_leads_back_to_all(site: Site) -> None:
    text = site.get("/lens/endpoints?q=%3Cscript%3E&days=1").text
    assert "None of the 3 endpoints matches these filters." in text
    assert field(text, "q").value == "<script>"
    clear = [one.href for one in links(text) if one.name == "Clear filters"]
    assert clear == ["/lens/endpoints?days=1"] * 2


def test_many_endpoints_come_in_pages(make_site: MakeSite) -> None:
    app = FastAPI()
    for number in range(120):
        app.add_api_route(f"/n/{number:03}", lambda: None)
    site = make_site(app)
    text = site.get("/lens/endpoints?sort=path&page=3").text
    assert len(endpoints(text).rows) == 20
    assert "101–120 of 120 endpoints" in page_text(text)
    assert link(text, "Page 3").current
    assert link(text, "Page 1").href == "/lens/endpoints?days=7&sort=path"
    assert "101–120" in site.get("/lens/endpoints?sort=path&page=77").text
    assert (
        site.fragment("/lens/endpoints?page=77").headers["hx-push-url"]
        == "/lens/endpoints?days=7&page=3"
    )
    wide = site.get("/lens/endpoints?q=n/00").text
    assert "10 endpoints of 120" in page_text(wide)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("prefix", "root_path", "mount", "base"),
    [
        ("", "", "/lens", "/lens"),
        ("/internal", "", "/lens", "/internal/lens"),
        ("", "/api", "/lens", "/api/lens"),
        ("/a", "/api", "/ops/lens", "/api/a/ops/lens"),
    ],
)
def test_every_address_is_where_the_client_found_the_admin(
    make_site: MakeSite, prefix: str, root_path: str, mount: str, base: str
) -> None:
    app = FastAPI()
    app.add_api_route("/health", lambda: None)
    app.include_router(create_lens_admin(mount), prefix=prefix)
    site = make_site(app, root_path=root_path, include=False)
    text = site.get(base.removeprefix(root_path) + "/endpoints").text
    (there,) = endpoints(text)["GET /health"].links
    texts = (text, site.get(there.href.removeprefix(root_path)).text)
    found = [one for each in texts for one in addresses(each) if not one.startswith("#")]
    assert len(found) > 30
    # A query alone stays on its page, wherever that is.
    assert [one for one in found if not one.startswith((base + "/", "?"))] == []
    assert f'<meta name="lens-base" content="{base}">' in text


def test_a_path_of_the_host_is_text_wherever_it_is_shown(make_site: MakeSite) -> None:
    router = APIRouter()
    router.add_api_route('/x"><img src=y onerror=z>{id}', lambda id: None, tags=["<i>tag</i>"])  # noqa: A006
    app = FastAPI()
    app.include_router(router)
    site = make_site(app)
    text = site.get().text
    (row,) = endpoints(text).rows
    for page in (text, site.get(row.links[0].href).text):
        assert "<img" not in page
        assert "<i>tag" not in page
        assert "onerror=z&gt;" in page


def test_the_file_and_line_of_each_handler_is_a_column(site: Site) -> None:
    row = endpoints(site.get("/lens/endpoints?q=user_id").text)["GET /users/{user_id}"]
    assert re.fullmatch(r"admin/conftest\.py:[0-9]+", row["Handler"])
    assert "<locals>.read_user" in row.titles


@pytest.mark.unmeasured
def test_the_first_load_of_a_thousand_busy_endpoints_transfers_less_than_sixty_kilobytes(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler() -> None: ...

    app = FastAPI()
    for number in range(1_000):
        app.add_api_route(f"/v1/products/{{product_id}}/{number}", handler, tags=["products"])
    site = make_site(app)
    now = site.lens.clock()
    for step in range(40):
        monkeypatch.setattr(site.lens.recorder, "clock", lambda at=now - 4 * 3_600 * step: at)
        for number in range(60):
            path = f"/v1/products/{{product_id}}/{number}"
            for status in (404, *[503] * (number % 5 == 0), *[200] * (step * number % 7)):
                site.lens.recorder.count(
                    method="GET", path=path, status=status, duration_ns=1_234_567_000
                )
        site.lens.flusher.collect()
    assert site.lens.flusher.flush()
    page = site.get()
    text = page.text
    assert len(endpoints(text).rows) == text.count('class="spark"') == 50
    assert link(text, "All 1,000").current
    loaded = [one for one in addresses(text) if one.startswith("/lens/static/")]
    assert len(loaded) == 5
    answers = [page, *map(site.get, loaded)]
    assert {one.headers["content-encoding"] for one in answers} == {"gzip"}
    assert sum(int(one.headers["content-length"]) for one in answers) < 60_000
