"""`make release-check` and `make smoke` refuse what cannot be published, each for its reason."""

from pathlib import Path
from typing import Any

import pytest

from scripts import release_check, smoke
from scripts.release_check import NotReadyError

pytestmark = pytest.mark.unit

HEAD = "# Changelog\n\n## [Unreleased]\n\n"
ENTRY = "### Added\n\n- Something.\n\n"
SECTION = f"## [0.2.0] - 2026-12-01\n\n{ENTRY}"


@pytest.mark.parametrize(
    ("text", "version", "tag", "words"),
    [
        (HEAD + ENTRY, "0.2.0", None, "0.2.0 is not released yet"),
        (HEAD + ENTRY + SECTION, "0.3.0.dev1", None, "is not released yet"),
        (HEAD + SECTION, "0.2.0", None, "0.2.0 has its section"),
        (HEAD + SECTION, "0.2.0", "v0.2.0", "0.2.0 has its section"),
    ],
)
def test_a_changelog_that_fits_is_accepted(
    text: str, version: str, tag: str | None, words: str
) -> None:
    assert words in release_check.check_changelog(text, version, tag)


@pytest.mark.parametrize(
    ("text", "version", "tag", "words"),
    [
        ("# Changelog\n", "0.2.0", None, "does not begin with a section [Unreleased]"),
        (SECTION, "0.2.0", "v0.2.0", "does not begin with a section [Unreleased]"),
        (HEAD + "## [0.2.0]\n", "0.2.0", None, "no date for 0.2.0"),
        (HEAD + SECTION, "0.1.9", None, "CHANGELOG.md has 0.2.0, but the version is 0.1.9"),
        (HEAD + SECTION, "0.2.0", "0.2.0", "the tag is 0.2.0"),
        (HEAD + SECTION, "0.2.0", "v0.2.1", "the tag is v0.2.1"),
        (HEAD + SECTION, "0.3.0", "v0.3.0", "has no section [0.3.0]"),
        (HEAD + ENTRY, "0.2.0", "v0.2.0", "has no section [0.2.0]"),
        (HEAD + ENTRY + SECTION, "0.2.0", "v0.2.0", "still has entries under [Unreleased]"),
    ],
)
def test_a_changelog_that_does_not_fit_is_refused(
    text: str, version: str, tag: str | None, words: str
) -> None:
    with pytest.raises(NotReadyError) as refused:
        release_check.check_changelog(text, version, tag)
    assert words in str(refused.value)


def test_the_changelog_of_this_checkout_has_its_sections_in_order() -> None:
    text = (release_check.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert release_check.check_changelog(text, "999", None)
    # Merges keep the lines of both sides, and could add those of a new entry below this heading.
    assert "\n- " not in text.partition("## [0.1.0]")[2]


WHEEL, SDIST = "fastapi_lens_admin-0.2.0-py3-none-any.whl", "fastapi_lens_admin-0.2.0.tar.gz"


def test_a_release_is_one_wheel_and_one_sdist_of_its_version() -> None:
    release_check.check_names([Path(WHEEL), Path(SDIST)], "0.2.0")
    for names, version in (([WHEEL], "0.2.0"), ([WHEEL, SDIST], "0.2.1"), ([SDIST] * 2, "0.3")):
        with pytest.raises(NotReadyError, match="built were"):
            release_check.check_names([Path(name) for name in names], version)


WORKS: dict[str, Any] = {
    "package": "/env/lib/fastapi_lens",
    "lifespan": smoke.STARTED,
    "without_key": 403,
    "page": [200, "text/html; charset=utf-8"],
    "shows_endpoint": True,
    "assets": {"/lens/static/vendor/htmx.min.js": [200, "text/javascript", 50_000]},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"package": "/checkout/fastapi_lens"}, "imported from /checkout"),
        ({"lifespan": ["lifespan.startup.failed", None]}, "start and end were"),
        ({"without_key": 200}, "without a key the report is a 200"),
        ({"page": [500, "text/html; charset=utf-8"]}, "the page is [500"),
        ({"shows_endpoint": False}, "does not show the endpoint"),
        ({"assets": {}}, "htmx is missing"),
        ({"assets": {"/lens/static/lens.css": [404, "", 0]}}, "lens.css is a 404"),
    ],
)
def test_each_fault_of_an_installed_package_is_named(change: dict[str, Any], words: str) -> None:
    found = "; ".join(smoke.problems({**WORKS, **change}, Path("/env")))
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize("number", [0, 2])
def test_smoke_wants_one_wheel(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in range(number):
        (tmp_path / f"{each}.whl").touch()
    assert smoke.main(tmp_path) == 2
    assert f"has {number} wheels" in capsys.readouterr().err
