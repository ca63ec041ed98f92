"""The list of callers: who they are, how much each uses, noise apart, filters and files."""

import csv
import io

from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import BILLING, page_of
from tests.support.pages import Table, link, page_text, table


def rows(text: str) -> Table:
    return table(text, "Callers with what they use")


def test_callers_are_listed_with_what_they_use(called: Site) -> None:
    text = called.get("/lens/callers").text
    found = rows(text)
    assert found.names == ["web", "billing-service", "key …a3f9"]
    billing = found["billing-service"]
    assert billing["Known by"] == "name by the application"
    assert (billing["Last use"], billing["Endpoints"], billing["Calls"]) == ("1 d ago", "2", "35")
    assert billing["First use"] == "40 d ago"
    assert billing.links[0].href == page_of(BILLING)
    assert "3 callers" in page_text(text)


def test_noise_is_apart(called: Site) -> None:
    text = called.get("/lens/callers").text
    assert link(text, "Callers 3").current
    noise = called.get(link(text, "Health checks and bots 1").href).text
    assert rows(noise).names == ["kube-probe"]
