"""The page of one caller: everything that it still uses, and its label."""

from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import BILLING, key_of, page_of
from tests.support.pages import Table, figures, link, page_text, table, title


def rows(text: str) -> Table:
    return table(text, "Endpoints that this caller uses")


def test_the_page_of_a_caller_lists_what_it_uses(called: Site) -> None:
    text = called.get(page_of(BILLING)).text
    assert title(text).startswith("billing-service · ")
    found = rows(text)
    assert found.names == ["POST /users", "GET /users/{user_id}"]
    users = found["POST /users"]
    assert (users["Calls"], users["Last use"], users["Days"]) == ("5", "1 d ago", "1")
    assert (users["Refused"], users["Failed"], users["Longest gap"]) == ("20.0%", "20.0%", "–")
    assert users["Status"] == "Active"
    assert users["Verdict"] == "In use"
    assert users.links[0].href == f"/lens/endpoints/{key_of(called, '/users')}"
    assert found["GET /users/{user_id}"]["Longest gap"] == "31 days"
    assert "It has called 2 endpoints, 2 of them in the last 30 days." in page_text(text)
    assert figures(text)["Known by"] == "name by the application"
    assert link(text, "In the list of endpoints").href == f"/lens/?caller={BILLING.id:016x}"
