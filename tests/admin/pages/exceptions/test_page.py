import pytest

from tests.admin.conftest import Site


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/lens/failures", "/lens/exceptions"),
        ("/lens/failures?q=a&endpoint=00ab", "/lens/exceptions?q=a&endpoint=00ab"),
        ("/lens/failures/00ab", "/lens/exceptions/00ab"),
        ("/lens/failures/00ab?q=%20", "/lens/exceptions/00ab?q=%20"),
        ("/lens/failures/a%3Fb", "/lens/exceptions/a%3Fb"),
    ],
)
def test_an_address_of_an_earlier_release_leads_to_the_present_one(
    site: Site, old: str, new: str
) -> None:
    answer = site.get(old)
    assert (answer.status_code, answer.headers["location"]) == (308, new)


def test_the_tabs_explain_what_they_show(site: Site) -> None:
    text = site.get("/lens/exceptions").text
    assert 'title="Unhandled exceptions by type and location."' in text
    assert 'title="Logged requests: errors, the slowest, and a sample."' in text
