"""The callers on the page of an endpoint."""

from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import BILLING, called, key_of, page_of
from tests.support.pages import page_text, table

__all__ = ["called"]


def test_the_page_of_an_endpoint_lists_its_callers(called: Site) -> None:
    text = called.get(f"/lens/endpoints/{key_of(called, '/users/{user_id}')}").text
    found = table(text, "Callers of this endpoint")
    assert found.names == ["web", "billing-service", "key …a3f9"]
    billing = found["billing-service"]
    assert (billing["Calls"], billing["Days"], billing["Longest gap"]) == ("30", "3", "31 days")
    assert billing["Refused"] == billing["Failed"] == "0%"
    assert billing.links[0].href == page_of(BILLING)
    assert "not only in the last 7 days" in page_text(text)
