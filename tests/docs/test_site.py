"""The documentation's pages: all in the navigation, with links and anchors that there are."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from fastapi_lens.config.lens_config import SETTINGS
from scripts import docs_quotes, docs_settings, docs_site

ROOT = Path(__file__).parents[2]
SOURCES = docs_site.sources()
PAGES = sorted(name for name in SOURCES if name.endswith(".md"))
LINK = re.compile(r"\]\(([^)\s#]*)#([^)\s]+)\)")


def anchors_of(page: Path) -> set[str]:
    """The anchors that a repository's own page gives to headings."""
    text = docs_site.FENCE.sub("", page.read_text(encoding="utf-8"))
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", plain, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        found.add(f"{anchor}-1" if anchor in found else anchor)
    return found


@pytest.mark.unit
def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}

    assert pages <= set(docs_site.titles())


@pytest.mark.unit
@pytest.mark.parametrize("name", PAGES)
def test_every_anchor_that_a_page_links_is_a_heading(name: str) -> None:
    text = docs_site.FENCE.sub("", SOURCES[name].read_text(encoding="utf-8"))
    for link, anchor in LINK.findall(text):
        if not link.startswith("http"):
            page = SOURCES[name].parent / unquote(link) if link else SOURCES[name]
            assert unquote(anchor) in anchors_of(page), f"{link}#{anchor}"


@pytest.mark.unit
def test_a_link_to_a_file_that_does_not_exist_is_refused() -> None:
    assert docs_site.links_of("[a](b.md#c) [d](#e) [f](https://g.example) ![h](i.png)") == [
        *("b.md", "i.png"),
    ]


@pytest.mark.unit
def test_a_link_by_the_name_of_a_file_gets_its_title() -> None:
    text = "See [docs/json.md](docs/json.md#files), [json.md](json.md), [no.md](no.md), [x](y.md)."

    assert docs_site.with_titles(text, {"json.md": "JSON"}) == (
        "See [JSON](docs/json.md#files), [JSON](json.md), [no.md](no.md), [x](y.md)."
    )


@pytest.mark.unit
def test_the_page_of_the_settings_is_that_of_the_code() -> None:
    page = docs_settings.FILE.read_text(encoding="utf-8")

    assert page == docs_settings.text(), "run make docs"


@pytest.mark.unit
def test_every_note_on_a_setting_belongs_to_one() -> None:
    assert docs_settings.NOTES.keys() <= SETTINGS.keys()


@pytest.mark.unit
def test_quoted_numbers_are_those_of_the_results() -> None:
    results = docs_quotes.RESULTS.read_text(encoding="utf-8")
    for path, text in docs_quotes.documents(results):
        assert path.read_text(encoding="utf-8") == text, "run make docs"


@pytest.mark.unit
def test_what_is_broken_in_a_built_page_is_found(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text('<a href="/nowhere">')
    (tmp_path / "other.html").write_text('<h1 id="there">')
    (tmp_path / "style.css").write_text("a { background: url(https://cdn.example/a.png) }")
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="style.css"><script src="https://cdn.example/a.js"></script>'
        '<a href="other.html#there"></a><a href="other.html#gone"></a><a href="no.html"></a>'
        '<a href="https://example.com/"></a><link rel="canonical" href="https://example.com/">'
    )

    assert docs_site.problems(tmp_path) == [
        "index.html loads https://cdn.example/a.js",
        "index.html: other.html#gone leads to no anchor",
        "index.html: no.html leads to no file",
        "style.css loads https://cdn.example/a.png",
    ]


@pytest.mark.packaging
def test_the_site_is_built_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert docs_site.main() == 0, capsys.readouterr().err
    assert "docs/quick-start.html" in (docs_site.SITE / "search.json").read_text(encoding="utf-8")
