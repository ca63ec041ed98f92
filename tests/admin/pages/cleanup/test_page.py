"""The cleanup page: verdicts with what was observed, filters, choices."""

from collections.abc import Callable

import pytest

from tests.admin.conftest import Site
from tests.support.pages import page_text, table
from tests.support.past import Past

MakeSite = Callable[..., Site]


def test_debug(site: Site) -> None:
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(800, holes=[(300, 296)])
    past.be_there("GET", "/health", since=800)
    past.be_there("POST", "/users", since=800)
    past.use("POST", "/users", range(500, 700))
    past.be_there("GET", "/users/{user_id}", since=800)
    past.use("GET", "/users/{user_id}", range(60, 400))
    text = site.get("/lens/cleanup").text
    print(page_text(text))
    print(table(text, "Endpoints"))
    print(site.get("/lens/cleanup.md").text)
    print(site.get("/lens/cleanup.csv").text)
    print(
        page_text(
            site.get(
                "/lens/cleanup/keep?e=" + table(text, "Endpoints").rows[0].links[0].href[16:32]
            ).text
        )
    )
    assert 0
