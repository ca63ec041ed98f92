"""The cleanup page as files."""

import csv
import io
from typing import Any

from benchmarks.support.rows import table_rows
from fastapi_lens.storage.schema.tables import AUDIT
from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import DAY, PROBE, named
from tests.admin.pages.cleanup.conftest import key_of
from tests.support.past import Past


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_csv_has_the_verdict_of_all_endpoints_of_the_filter(shop_site: Site) -> None:
    answer = shop_site.get("/lens/cleanup.csv?q=post")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    merge, exports = read(answer.text)
    assert (merge["method"], merge["path"], merge["verdict"]) == (
        *("POST", "/merge"),
        "probably_unused",
    )
    assert merge["excluded"] == "daily weekly monthly"
    assert (merge["silence_days"], merge["hole_days"], merge["pattern"]) == ("60", "0", "daily")
    assert merge["last_used_at"].endswith("T12:00:00+00:00")
    assert merge["probably_from"] < merge["safe_from"]
    assert "No use for 60 days" in merge["reasons"]
    assert exports["verdict"] == "wait"


def test_what_is_not_known_is_empty(shop_site: Site) -> None:
    rows = {row["path"]: row for row in read(shop_site.get("/lens/cleanup.csv").text)}
    used = rows["/orders/{order_id}"]
    assert (used["probably_from"], used["safe_from"], used["pattern"]) == ("", "", "")
    assert rows["/dump"]["last_used_at"] == rows["/dump"]["removed_at"] == ""


def test_each_file_is_of_the_part_that_the_page_shows(past: tuple[Site, Past]) -> None:
    site, added = past
    added.remove("GET", "/v0/orders", since=30, calls={2: 3})
    for query, path in {
        "?tag=carts": "/merge",
        "?prefix=/orders": "/orders/{order_id}",
        "?q=post&verdict=wait": "/exports",
        "?verdict=removed&prefix=/v0": "/v0/orders",
        f"?tag=carts&e={key_of(site, '/dump')}": "/dump",
    }.items():
        (row,) = read(site.get(f"/lens/cleanup.csv{query}").text)
        assert row["path"] == path
        assert site.get(f"/lens/cleanup.md{query}").text.count("- [ ] ") == 1
    assert read(site.get("/lens/cleanup.csv?verdict=removed&prefix=/v1").text) == []


def test_the_json_has_all_endpoints_whatever_is_filtered(shop_site: Site) -> None:
    found = shop_site.get("/lens/cleanup.json?tag=carts&prefix=/merge").json()
    assert len(found["endpoints"]) == 6


def test_removed_endpoints_are_in_the_file_of_their_tab(past: tuple[Site, Past]) -> None:
    site, added = past
    added.remove("GET", "/v0/orders", since=30, calls={2: 3})
    (row,) = read(site.get("/lens/cleanup.csv?verdict=removed").text)
    assert row["path"] == "/v0/orders"
    assert row["removed_at"]


def test_the_markdown_has_all_endpoints_or_the_chosen_ones(shop_site: Site) -> None:
    everything = shop_site.get("/lens/cleanup.md")
    assert everything.headers["content-type"] == "text/markdown; charset=utf-8"
    assert everything.headers["content-disposition"].startswith("attachment; ")
    assert everything.text.count("- [ ] ") == 6
    chosen = shop_site.get(f"/lens/cleanup.md?verdict=wait&e={key_of(shop_site, '/dump')}")
    assert chosen.headers["content-disposition"].startswith("inline; ")
    assert chosen.text.count("- [ ] ") == 1
    assert "`GET /dump`" in chosen.text
    assert chosen.text.startswith("## Endpoints of site\n")


def test_the_markdown_names_the_environment(make_site: Any) -> None:
    site = make_site(environment="staging")
    assert site.get("/lens/cleanup.md").text.startswith("## Endpoints of site (staging)\n")


def test_files_are_in_the_audit_log(shop_site: Site) -> None:
    shop_site.get("/lens/cleanup.csv?verdict=wait")
    shop_site.get("/lens/cleanup.md")
    rows = table_rows(shop_site.lens.database, AUDIT)
    assert sorted((row.action, row.target, row.after) for row in rows) == [
        ("export", "cleanup.csv", "?verdict=wait"),
        ("export", "cleanup.md", ""),
    ]


def test_the_files_name_the_callers(shop_site: Site) -> None:
    now = shop_site.lens.clock()
    shop_site.count_by(now - 70 * DAY, "POST", "/merge", [named(f"a{one:02}") for one in range(12)])
    shop_site.count_at(now - 60 * DAY, "POST", "/merge", by=named("*web*"))
    shop_site.count_at(now - 60 * DAY, "POST", "/merge", by=PROBE)
    (row,) = read(shop_site.get("/lens/cleanup.csv?q=merge").text)
    assert row["callers"].startswith("*web*, a00, a01, ")
    assert "kube-probe" not in row["callers"]
    text = shop_site.get("/lens/cleanup.md?q=merge").text
    assert "  - Called by \\*web\\*, a00, a01, " in text
    assert ", a08 and 3 more.\n" in text
