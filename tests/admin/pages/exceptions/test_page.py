from tests.admin.conftest import Site


def test_the_tabs_explain_what_they_show(site: Site) -> None:
    text = site.get("/lens/exceptions").text
    assert 'title="Unhandled exceptions by type and location."' in text
    assert 'title="Logged requests: errors, the slowest, and a sample."' in text
