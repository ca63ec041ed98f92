"""On paper, where no field and no chip is left, a list says what was searched and filtered."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.support.rows import caller
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.models import CallerKind
from tests.admin.conftest import Site
from tests.support.pages import part

WEB = caller("web", CallerKind.HOOK, "site")
USERS = f"{endpoint_id('site', 'GET', '/users/{user_id}'):016x}"


@pytest.fixture
def called(make_site: Callable[..., Site]) -> Site:
    """A site that somebody uses."""
    site = make_site(callers="agent")
    site.count_at(site.lens.clock() - 7_200, "GET", "/users/{user_id}", 4, by=WEB)
    return site


def printed(site: Site, path: str) -> str | None:
    """The line of a page."""
    answer = site.get(f"/lens{path}")
    assert answer.status_code == 200
    return part(answer.text, "lens-printed")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/endpoints?q=user&method=GET&method=POST", "Search: “user” · Methods: GET, POST"),
        (
            "/endpoints?status=never_called&tag=orders&prefix=/users&file=app.py",
            "Status: Never called · Tag: orders · Path: /users · File: app.py",
        ),
        (f"/endpoints?caller={WEB.id:016x}", "Called by: web"),
        (
            "/endpoints?without=tag&deprecated=1&ignored=1",
            "Only: No tag, deprecated · With: ignored",
        ),
        ("/endpoints?q=%3Cb%3Enothing", "Search: “<b>nothing”"),
        (
            f"/requests?q=user&endpoint={USERS}&status=5xx&min_ms=500&method=GET&reason=error",
            (
                "Search: “user” · Endpoint: GET /users/{user_id} · Status: 5xx · Method: GET · "
                "Duration: ≥ 500 ms · Reason: Error"
            ),
        ),
        (f"/requests?caller={WEB.id:016x}", "Called by: web"),
        (
            f"/exceptions?q=lookup&endpoint={USERS}",
            "Search: “lookup” · Endpoint: GET /users/{user_id}",
        ),
        ("/callers?q=w&noise=1", "Search: “w” · Only: Health checks and bots"),
        ("/cleanup?q=user&verdict=wait&tag=orders", "Search: “user” · Tag: orders · Verdict: Wait"),
        ("/?tag=orders&prefix=/users", "Tag: orders · Path: /users"),
    ],
)
def test_a_page_says_on_paper_what_was_searched_and_filtered(
    called: Site, path: str, line: str
) -> None:
    assert printed(called, path) == line


@pytest.mark.parametrize("path", ["/endpoints", "/requests", "/exceptions", "/callers", "/cleanup"])
def test_a_list_without_filters_has_no_such_line(called: Site, path: str) -> None:
    answer: Any = called.get(f"/lens{path}")
    assert answer.status_code == 200
    assert "lens-printed" not in answer.text
