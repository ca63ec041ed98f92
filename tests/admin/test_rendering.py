import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import Access, KeyConfig, Scope, lens_admin
from fastapi_lens.errors import StorageError
from tests.admin.conftest import Site
from tests.support.pages import link, page_text, part, title

MakeSite = Callable[..., Site]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@pytest.fixture
def override(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a template of the host; gives the directory to name in the configuration."""

    def write(name: str, text: str) -> str:
        file = tmp_path / "host" / "fastapi_lens" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return str(tmp_path / "host")

    return write


def error_number(page: str) -> str:
    """The number under which the log has what happened."""
    found = re.search(r"rror ([0-9a-f]{8})", page_text(page))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", ["/lens/", "/lens/endpoints/00", "/lens/endpoints?q=none"])
def test_every_page_is_kept_safe_by_its_headers(site: Site, path: str) -> None:
    for answer in (site.get(path), site.fragment(path)):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["vary"] == "HX-Request-Type, Accept-Encoding"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_page_contains_nothing_that_its_policy_forbids(site: Site) -> None:
    site.count("GET", "/health", status=500)
    health = link(site.get().text, "GET /health").href
    for path in ("/lens/", health):
        text = site.get(path).text
        for forbidden in ("style=", "<style", "onclick", "hx-on", "js:", "javascript:"):
            assert forbidden not in text
        scripts = re.findall("<script [^>]*>", text)
        assert len(scripts) == 2
        assert all('src="/lens/static/' in one for one in scripts)


def test_the_request_type_alone_decides_between_page_and_fragment(site: Site) -> None:
    for headers in ({}, {"HX-Request": "true"}, {"HX-Request-Type": "full", "HX-Request": "true"}):
        assert site.get(**headers).text.startswith("<!doctype html>")
    fragment = site.get(**{"HX-Request-Type": "partial"}).text
    assert "<html" not in fragment
    assert '<hx-partial hx-target="#lens-health">' in fragment


def test_an_overridden_fragment_changes_the_page_and_the_answer_to_htmx(
    make_site: MakeSite, override: Callable[[str, str], str]
) -> None:
    folder = override("endpoints/_summary.html", "<p>{{ total.calls }} calls at Acme</p>")
    site = make_site(template_dirs=(folder,))
    assert "<p>0 calls at Acme</p>" in site.get().text
    assert "<p>0 calls at Acme</p>" in site.fragment().text


def test_an_override_can_extend_the_template_that_it_replaces(
    make_site: MakeSite, override: Callable[[str, str], str]
) -> None:
    folder = override(
        "base.html",
        '{% extends "lens_builtin/base.html" %}'
        "{% block footer %}<p>Ask the platform team.</p>{{ super() }}{% endblock %}",
    )
    text = make_site(template_dirs=(folder,)).get().text
    assert "<p>Ask the platform team.</p>" in text
    assert 'id="lens-health"' in text


def test_the_built_in_templates_cannot_be_shadowed(
    make_site: MakeSite, override: Callable[[str, str], str], tmp_path: Path
) -> None:
    folder = override("unused.html", "")
    shadow = tmp_path / "host" / "lens_builtin"
    shadow.mkdir()
    (shadow / "base.html").write_text("shadow", encoding="utf-8")
    override("base.html", '{% extends "lens_builtin/base.html" %}')
    assert 'id="lens-main"' in make_site(template_dirs=(folder,)).get().text


def test_other_templates_of_the_host_do_not_match(make_site: MakeSite, tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text("the host's own", encoding="utf-8")
    assert "the host's own" not in make_site(template_dirs=(str(tmp_path),)).get().text


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "endpoints/_tabs.html",
            "<nav>\n{% for tab in %}\n</nav>",
            "fastapi_lens/endpoints/_tabs.html, line 2: ",
        ),
        (
            "endpoints/_row.html",
            "<tr>\n<td>{{ row.endpont.path }}</td></tr>",
            "fastapi_lens/endpoints/_row.html, line 2: ",
        ),
        ("endpoints/_row.html", "{% include 'gone.html' %}", "gone.html"),
        ("_bar.html", "{{ 1 / 0 }}", "division by zero"),
        ("base.html", "{{ title }}", "fastapi_lens/base.html, line 1: 'title' is undefined"),
    ],
)
def test_a_broken_override_is_named_with_its_line(
    make_site: MakeSite,
    override: Callable[[str, str], str],
    caplog: pytest.LogCaptureFixture,
    name: str,
    text: str,
    problem: str,
) -> None:
    site = make_site(template_dirs=(override(name, text),))
    with caplog.at_level(logging.ERROR, logger="fastapi_lens"):
        answer = site.get()
    assert answer.status_code == 500
    assert "This page could not be shown" in answer.text
    assert problem in page_text(answer.text)
    assert f"fastapi_lens error {error_number(answer.text)}" in caplog.text
    assert "Traceback" not in answer.text
    assert str(site.lens.config.template_dirs[0]) not in answer.text


def test_a_broken_override_is_a_toast_in_a_fragment(
    make_site: MakeSite, override: Callable[[str, str], str]
) -> None:
    site = make_site(template_dirs=(override("endpoints/_tabs.html", "{{ nothing_like_it }}"),))
    answer = site.fragment()
    assert answer.status_code == 500
    assert answer.text.startswith('<hx-partial hx-target="#lens-toasts"')
    assert "endpoints/_tabs.html, line 1" in answer.text
    assert answer.headers["hx-push-url"] == "false"


def test_an_error_of_our_own_is_a_page_or_a_toast_with_a_number_that_the_log_has(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise LookupError("a secret of ours")

    monkeypatch.setattr(site.lens.reader, "endpoints", fail)
    with caplog.at_level(logging.ERROR, logger="fastapi_lens"):
        page, toast = site.get("/lens/endpoints?q=a&days=30"), site.fragment("/lens/endpoints?q=b")
    assert (page.status_code, toast.status_code) == (500, 500)
    assert "An error occurred while creating this page." in page.text
    assert link(page.text, "Try again").href == "/lens/endpoints?q=a&days=30"
    assert toast.text.startswith('<hx-partial hx-target="#lens-toasts"')
    assert "a secret of ours" not in page.text + toast.text
    for text in (page.text, toast.text):
        assert f"fastapi_lens error {error_number(text)}" in caplog.text


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("cookie", "theme"),
    [("dark", "dark"), ("light", "light"), ("auto", "auto"), ("pink", "auto"), ("", "auto")],
)
def test_the_theme_is_known_before_the_page_is_painted(site: Site, cookie: str, theme: str) -> None:
    text = site.get(Cookie=f"lens_theme={cookie}").text
    assert f'<html lang="en" data-theme="{theme}"' in text
    scheme = "light dark" if theme == "auto" else theme
    assert f'<meta name="color-scheme" content="{scheme}">' in text


def test_what_was_switched_off_stays_off(site: Site) -> None:
    on = site.get().text
    off = site.get(Cookie="lens_live=off; lens_keys=off").text
    # The third switch is that of the zone of times, which is UTC.
    assert (on.count('aria-pressed="true"'), on.count('aria-pressed="false"')) == (2, 1)
    assert off.count('aria-pressed="false"') == 3


def test_the_shell_names_the_application_and_its_environment(make_site: MakeSite) -> None:
    text = make_site(app_name="orders <api>", environment="staging").get().text
    assert "orders <api> staging" in page_text(text)
    assert title(text) == "Endpoints · orders <api> (staging)"
    assert "Log out" not in text


def test_the_bar_says_who_looks_and_what_they_may_do(make_site: MakeSite) -> None:
    local = make_site()
    assert who(local.get().text) == "this machine Can view and change settings."
    keys = {"ci": KeyConfig("key-of-ci", scope="read")}
    reader = make_site(report_keys=keys)
    text = reader.get(**{"X-Lens-Key": "key-of-ci"}).text
    assert who(text) == "ci Read only."
    assert "read only" in text
    assert "Log out" not in text  # A header has nothing to log out of.
    hostile = make_site(authorize=lambda _: Access(Scope.ADMIN, "<script>x</script>"))
    assert who(hostile.get().text).startswith("<script>x</script>")


def who(page: str) -> str:
    """Text of the page about its visitor."""
    return part(page, "lens-who") or "nobody"


def test_the_help_and_the_tabs_explain_the_statuses_with_the_thresholds(
    make_site: MakeSite,
) -> None:
    text = make_site(cold_threshold_days=2, dead_threshold_days=5, slow_threshold_ms=300).get().text
    meanings = (
        ("active", "Active", "Called within the last 2 days."),
        ("cold", "Cold", "No calls for more than 2 days."),
        ("dead", "Dead", "No calls for more than 5 days."),
        ("never_called", "Never called", "In the application&#39;s routes, but never called."),
    )
    for name, label, meaning in meanings:
        assert f'<dt><span class="{name}">{label}</span></dt><dd>{meaning}</dd>' in text
        assert f'title="{meaning}" class="{name}"' in text
    assert "A p95 above 300 ms is slow." in text


def test_the_key_without_a_name_is_called_the_default_key(make_site: MakeSite) -> None:
    text = make_site(report_key="a-key").get(**{"X-Lens-Key": "a-key"}).text
    assert "<b>default key</b>" in text


def test_the_footer_says_whether_the_numbers_can_be_trusted(site: Site) -> None:
    site.count("GET", "/health")
    for _ in range(1_234):
        site.lens.flusher.count_dropped()
    site.count("GET", "/health")
    page = site.get().text
    assert re.search(r"Counts up to \d\d:\d\d:\d\d · 1 worker · 1,234 calls lost", page_text(page))
    assert '<span class="warn">1,234 calls lost' in page


def test_somebody_from_elsewhere_is_told_what_to_set(site: Site) -> None:
    page = site.get(**{"X-Forwarded-For": "198.51.100.7"})
    assert page.status_code == 403
    assert "report_key" in page.text
    assert page.text.startswith("<!doctype html>")
    toast = site.fragment(**{"X-Forwarded-For": "198.51.100.7"})
    assert toast.status_code == 403
    assert toast.text.startswith("<hx-partial")


def test_a_database_that_cannot_be_reached_is_logged_in_one_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise StorageError("OperationalError: connection refused")

    monkeypatch.setattr(site.lens.reader, "endpoints", fail)
    page, report = site.get("/lens/endpoints?q=a"), site.get("/lens/report")
    assert (page.status_code, report.status_code) == (503, 503)
    assert "refused" not in page.text + report.text
    lines = [one for one in caplog.text.splitlines() if "fastapi_lens error" in one]
    assert len(lines) == 2
    assert all(one.endswith(": OperationalError: connection refused") for one in lines)
    assert "Traceback" not in caplog.text


def test_without_the_middleware_the_page_says_which_line_to_add() -> None:
    app = FastAPI()
    app.include_router(lens_admin)
    answer = TestClient(app).get("/lens/")
    assert answer.status_code == 503
    assert "app.add_middleware(LensMiddleware, config=LensConfig())" in answer.text
    assert answer.headers["content-security-policy"] == POLICY


def test_every_button_that_copies_says_of_what() -> None:
    folder = Path(__file__).parents[2] / "templates"
    buttons = [
        button
        for template in folder.rglob("*.html")
        for button in re.findall("<button[^>]*data-copy=[^>]*>", template.read_text("utf-8"))
    ]
    assert len(buttons) > 4
    assert all(re.search(r'aria-label="Copy \w+', button) for button in buttons)
