"""The documentation site: `make docs` builds it into .docs/site and checks it.

The sources are the Markdown files of the repository. They are copied under their own paths, with
the files that they link, so that the links between them also work in the site. A link whose text is
the name of a file, as people read it in a repository, gets the title of that page. Zensical
builds the pages and refuses broken links and anchors in Markdown. The built pages are checked once
more, because templates of the theme and HTML in Markdown are not among those: each link leads to a
file and an anchor of the site, and nothing is loaded from another host.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "zensical.toml"
PAGES = ROOT / ".docs" / "pages"
SITE = ROOT / ".docs" / "site"

LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
NAMED_LINK = re.compile(r"\[(?:docs/)?([\w.-]+\.md)\]\(")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[\d;]*m")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements that load something, and the attribute with its address."""

LOADED_BY_CSS = re.compile(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)")

SILENT_LINKS = frozenset({"canonical", "next", "prev"})
"""Relations of a `link` element that load nothing."""


@dataclass
class Page:
    """The ids and the addresses of a built page."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects what a `Page` has."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the id and the address of an element."""
        values = {name: value or "" for name, value in attrs}
        self.page.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.page.links.append(values["href"])
        address = values.get(LOADING.get(tag, ""), "")
        if address and values.get("rel") not in SILENT_LINKS:
            self.page.loaded.append(address)


def titles() -> dict[str, str]:
    """The titles in the site's navigation, by the paths of the files in the repository."""
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    return dict(_titles(config["project"]["nav"]))


def _titles(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        for title, target in entry.items():
            if isinstance(target, list):
                yield from _titles(target)
            else:
                yield target, title


def sources() -> dict[str, Path]:
    """The files of the site by their path in the repository: the pages, and what they link.

    Raises:
        ValueError: A page links a file that does not exist.
    """
    names = [*titles()]
    names += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
    found = {name: ROOT / name for name in names}
    for name, page in list(found.items()):
        for link in links_of(page.read_text(encoding="utf-8")):
            file = (page.parent / unquote(link)).resolve()
            if not file.is_file() or ROOT not in file.parents:
                raise ValueError(f"{name} links {link}, which is no file of the repository")
            found.setdefault(file.relative_to(ROOT).as_posix(), file)
    return found


def links_of(markdown: str) -> list[str]:
    """The relative links of a Markdown text, without their anchors."""
    return [
        link
        for link in LINK.findall(FENCE.sub("", markdown))
        if not urlsplit(link).scheme and not link.startswith("#")
    ]


def copy(files: Mapping[str, Path], to: Path) -> None:
    """Replace a folder by copies of files.

    Args:
        files: By their paths in the folder.
        to: The folder.
    """
    shutil.rmtree(to, ignore_errors=True)
    by_name = {Path(name).name: title for name, title in titles().items()}
    for name, file in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = with_titles(file.read_text(encoding="utf-8"), by_name)
            (to / name).write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(file, to / name)


def with_titles(markdown: str, by_name: Mapping[str, str]) -> str:
    """The text with titles in place of names of files as the texts of links.

    Args:
        markdown: The text.
        by_name: Titles by the names of files, without their folders.
    """

    def titled(found: re.Match[str]) -> str:
        return f"[{by_name.get(found[1], found[1])}]("

    return NAMED_LINK.sub(titled, markdown)


def problems(site: Path) -> list[str]:
    """Broken links, missing anchors and requests to other hosts in built pages.

    Args:
        site: The folder of the site.
    """
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    # The page of a missing address is served at any path, so its links begin at the root.
    del pages[site / "404.html"]
    found: list[str] = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} loads {url}" for url in page.loaded if _is_elsewhere(url)]
        for address in (*page.links, *page.loaded):
            problem = "" if _is_elsewhere(address) else _problem(path, address, pages)
            if problem:
                found.append(f"{name}: {address} {problem}")
    for style in sorted(site.rglob("*.css")):
        urls = LOADED_BY_CSS.findall(style.read_text(encoding="utf-8"))
        found += [f"{style.relative_to(site)} loads {url}" for url in urls]
    return found


def _read(path: Path) -> Page:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def _is_elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def _problem(path: Path, address: str, pages: Mapping[Path, Page]) -> str:
    """The reason why an address of this site leads nowhere; empty if it does not."""
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "leads to no file"
    anchor = unquote(parts.fragment)
    # The theme's own anchors, such as __skip, are made by its scripts.
    if not anchor or target not in pages or anchor.startswith("__"):
        return ""
    return "" if anchor in pages[target].ids else "leads to no anchor"


def build() -> int:
    """Build the site; returns Zensical's exit code."""
    copy(sources(), PAGES)
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    command += ["--config-file", str(CONFIG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # Its account of the links, without the traceback on the standard error that follows it.
        print(COLOUR.sub("", done.stdout) or done.stderr, file=sys.stderr)
    return done.returncode


def main() -> int:
    """The command."""
    try:
        code = build()
    except ValueError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    if code != 0:
        return 1
    found = problems(SITE)
    for line in found:
        print(f"docs: {line}", file=sys.stderr)
    if not found:
        print(f"docs: {SITE.relative_to(ROOT)}/index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
