"""Links between the documents of the project."""

import re
from pathlib import Path

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors_of(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def broken_links(page: Path) -> list[str]:
    """The links of a document that lead to no file, or to no heading of it.

    Args:
        page: A Markdown file; its links are relative to its folder.
    """
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert links, f"{page.name} has no link"
    return [f"{name}#{anchor}" for name, anchor in links if not _leads(page, name, anchor)]


def _leads(page: Path, name: str, anchor: str) -> bool:
    path = page.parent / name if name else page
    if not path.is_file():
        return False
    return not anchor or anchor in anchors_of(path.read_text(encoding="utf-8"))
