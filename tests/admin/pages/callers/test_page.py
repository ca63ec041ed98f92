"""The list of callers: who they are, how much each uses, noise apart, filters and files."""

import csv
import io
from collections.abc import Callable

from benchmarks.support.rows import table_rows
from fastapi_lens.admin.display.paging import PAGE_SIZE
from fastapi_lens.storage.schema.tables import AUDIT
from fastapi_lens.storage.writing.callers import MOST_CALLERS
from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import BILLING, named, page_of
from tests.support.pages import Table, addresses, link, page_text, table


def rows(text: str) -> Table:
    return table(text, "Callers with what they use")


def test_callers_are_listed_with_what_they_use(called: Site) -> None:
    text = called.get("/lens/callers").text
    found = rows(text)
    assert found.names == ["web", "billing-service", "key …a3f9"]
    billing = found["billing-service"]
    assert billing["Known by"] == "application"
    assert (billing["Last use"], billing["Endpoints"], billing["Calls"]) == ("1 d ago", "2", "35")
    assert billing["First use"] == "40 d ago"
    assert billing.links[0].href == page_of(BILLING)
    assert "3 callers" in page_text(text)


def test_noise_is_apart(called: Site) -> None:
    text = called.get("/lens/callers").text
    assert link(text, "Callers 3").current
    noise = called.get(link(text, "Health checks and bots 1").href).text
    assert rows(noise).names == ["kube-probe"]
    assert "health check or bot" in rows(noise).rows[0]["Caller"]


def test_callers_are_sorted_by_a_click_on_a_header(called: Site) -> None:
    text = called.get("/lens/callers").text
    assert rows(text).orders == {"Last use": "descending"}
    by_calls = called.get(link(text, "Calls").href).text
    assert rows(by_calls).names == ["billing-service", "web", "key …a3f9"]
    assert rows(by_calls).orders == {"Calls": "descending"}
    upwards = called.get(link(by_calls, "Calls").href).text
    assert rows(upwards).orders == {"Calls": "ascending"}
    assert rows(upwards).names == ["key …a3f9", "web", "billing-service"]


def test_callers_are_found_by_name_and_by_kind(called: Site) -> None:
    assert rows(called.get("/lens/callers?q=BILL").text).names == ["billing-service"]
    assert rows(called.get("/lens/callers?q=api+key").text).names == ["key …a3f9"]
    text = called.get("/lens/callers?q=nobody-like-this").text
    assert "No caller matches" in text
    assert link(text, "Callers 0").current
    noisy = called.get("/lens/callers?q=web&noise=1").text
    assert link(noisy, "Callers 1").href == "/lens/callers?q=web"


def test_a_list_without_noise_or_of_noise_alone_says_so(make_site: Callable[..., Site]) -> None:
    site = make_site(callers="agent")
    site.count_at(site.lens.clock() - 60, "GET", "/health", by=BILLING)
    assert "No health checks or bots" in site.get("/lens/callers?noise=1").text
    site = make_site(callers="agent", noise=["billing-service"])
    assert "Only health checks and bots" in site.get("/lens/callers").text


def test_an_empty_list_says_whether_callers_are_recorded(make_site: Callable[..., Site]) -> None:
    off = make_site().get("/lens/callers").text
    assert "Callers are not recorded" in off
    assert "/lens/settings#callers" in addresses(off)
    assert "No callers yet" in make_site(callers="key").get("/lens/callers").text


def test_a_list_says_that_callers_are_no_longer_recorded(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.count_at(site.lens.clock() - 60, "GET", "/health", by=BILLING)
    text = page_text(site.get("/lens/callers").text)
    assert "Callers are not recorded at present" in text
    assert "billing-service" in text


def test_long_lists_have_pages(make_site: Callable[..., Site]) -> None:
    site = make_site(callers="agent")
    now = site.lens.clock()
    for number in range(PAGE_SIZE + 1):
        by = named(f"caller {number:02}")
        site.count_at(now - 60 * (number + 1), "GET", "/health", by=by)
    text = site.get("/lens/callers?page=9").text
    assert rows(text).names == [f"caller {PAGE_SIZE:02}"]
    assert f"51–51 of {PAGE_SIZE + 1} callers" in page_text(text)
    assert link(text, "Page 1").href == "/lens/callers"


def test_the_file_has_the_callers_of_the_filter(called: Site) -> None:
    answer = called.get("/lens/callers.csv?q=billing")
    assert answer.headers["content-disposition"].startswith('attachment; filename="callers-')
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["id"], row["name"], row["kind"]) == (
        f"{BILLING.id:016x}",
        "billing-service",
        "hook",
    )
    assert (row["endpoints"], row["calls"], row["is_noise"]) == ("2", "35", "False")
    assert row["last_use_at"] > row["first_use_at"]
    entry = table_rows(called.lens.database, AUDIT)[-1]
    assert (entry.action, entry.target) == ("export", "callers.csv")


def test_a_live_update_without_news_is_a_304(called: Site) -> None:
    first = called.fragment("/lens/callers")
    assert first.headers["hx-push-url"] == "/lens/callers"
    again = called.fragment("/lens/callers", **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_callers_beyond_the_limit_have_no_page(make_site: Callable[..., Site]) -> None:
    site = make_site(callers="key")
    many = [named(f"caller {number:03}") for number in range(MOST_CALLERS + 1)]
    site.count_by(site.lens.clock() - 60, "GET", "/health", many)
    (others,) = rows(site.get("/lens/callers?q=others").text).rows
    assert (others["Caller"], others["Known by"], others.links) == (
        *("others", "beyond the limit, or forgotten"),
        (),
    )
    assert site.get("/lens/callers/0000000000000000").status_code == 404
