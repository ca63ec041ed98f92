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
        ("/lens/export.csv", "/lens/endpoints.csv"),
        ("/lens/export.csv?q=a%20b&days=30", "/lens/endpoints.csv?q=a%20b&days=30"),
        ("/lens/export.json?status=dead", "/lens/endpoints.json?status=dead"),
        ("/lens/?q=order", "/lens/endpoints?q=order"),
        ("/lens/?status=dead&days=30", "/lens/endpoints?status=dead&days=30"),
        ("/lens/?tag=users&method=GET", "/lens/endpoints?tag=users&method=GET"),
        ("/lens/?sort=-p95&page=2", "/lens/endpoints?sort=-p95&page=2"),
        ("/lens/?ignored=1", "/lens/endpoints?ignored=1"),
        ("/lens/?caller=00000000000000ab", "/lens/endpoints?caller=00000000000000ab"),
    ],
)
def test_an_address_of_an_earlier_release_leads_to_the_present_one(
    site: Site, old: str, new: str
) -> None:
    answer = site.get(old)
    assert (answer.status_code, answer.headers["location"]) == (308, new)


def test_the_first_address_leads_to_the_overview_with_its_window(site: Site) -> None:
    led = site.get("/lens/dashboard?days=30")
    assert (led.status_code, led.headers["location"]) == (303, "/lens/?days=30")


@pytest.mark.parametrize("query", ["", "?days=30", "?days=30&tag=users", "?nonsense=1"])
def test_a_window_or_a_tag_alone_is_the_overview(site: Site, query: str) -> None:
    assert '<h1 class="sr">Overview</h1>' in site.get(f"/lens/{query}").text


def test_a_tab_that_was_open_during_the_upgrade_is_led_on_as_well(site: Site) -> None:
    answer = site.fragment("/lens/?q=user", source="div#lens-live")
    assert (answer.status_code, answer.headers["location"]) == (308, "/lens/endpoints?q=user")
