"""Lookups in a page as people read it: text, tables by column, links and fields by name.

Knows HTML alone and nothing of the lens. The standard library's parser reads the page; ends that
HTML lets a template leave out (those of cells, rows, options) are added.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_SILENT = frozenset({"head", "script", "style", "svg", "template"})
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "code", "em", "i", "kbd", "mark", "s", "small", "span", "strong"}
    | {"sub", "sup", "time", "u", "wbr"}
)
_PARTS_OF_TABLE = frozenset({"thead", "tbody", "tfoot"})
_ENDED_BY: Mapping[str, frozenset[str]] = {
    "td": frozenset({"td", "th", "tr"}) | _PARTS_OF_TABLE,
    "th": frozenset({"td", "th", "tr"}) | _PARTS_OF_TABLE,
    "tr": frozenset({"tr"}) | _PARTS_OF_TABLE,
    "thead": _PARTS_OF_TABLE,
    "tbody": _PARTS_OF_TABLE,
    "li": frozenset({"li"}),
    "option": frozenset({"option", "optgroup"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
}
"""Elements that the beginning of another one ends."""


class _Reader(HTMLParser):
    """A parser that builds one tree of elements."""

    def __init__(self) -> None:
        super().__init__()
        self._builder = TreeBuilder()
        self._builder.start("page", {})
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self._open and tag in _ENDED_BY.get(self._open[-1], ()):
            self._builder.end(self._open.pop())
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in _VOID:
            self._builder.end(tag)
        else:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while (last := self._open.pop()) != tag:
                self._builder.end(last)
            self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        self._builder.data(data)

    def read(self, html: str) -> Element:
        self.feed(html)
        self.close()
        for tag in reversed(self._open):
            self._builder.end(tag)
        self._builder.end("page")
        return self._builder.close()


@lru_cache(maxsize=4)
def _tree(html: str) -> Element:
    """The elements of a page, which a test looks at several times in a row; nobody changes them."""
    return _Reader().read(html)


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page.

    Attributes:
        name: Its text, or its label for screen readers.
        current: True if it leads to the present page.
    """

    name: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Row(Mapping[str, str]):
    """A row of a table: the text of each cell by the name of its column.

    Attributes:
        name: Text of the link in its heading, else of the heading; empty where it has none.
        cells: By the names of the columns, in their order.
        links: In all of its cells.
        titles: Tooltips of its parts and their charts.
    """

    name: str
    cells: Mapping[str, str]
    links: tuple[Link, ...]
    titles: tuple[str, ...]

    def __getitem__(self, column: str) -> str:
        assert column in self.cells, f"no column {column!r}, but {', '.join(self.cells)}"
        return self.cells[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, and its rows from the top.

    Attributes:
        orders: Sort order by column, for screen readers: ascending or descending.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    orders: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The names of the rows, from the top."""
        return [row.name for row in self.rows]

    def column(self, name: str) -> list[str]:
        """The texts of one column, from the top."""
        return [row[name] for row in self.rows]

    def __getitem__(self, name: str) -> Row:
        """The only row of a name."""
        found = [row for row in self.rows if row.name == name]
        assert len(found) == 1, f"{len(found)} rows {name!r} among {self.names}"
        return found[0]


def page_text(html: str) -> str:
    """The text of a page or a part of one as people read it, on one line."""
    return _text(_tree(html))


def title(html: str) -> str:
    """The title of the page in a browser."""
    found = _tree(html).find(".//title")
    assert found is not None, "no title"
    return "".join(found.itertext())


def part(html: str, identifier: str) -> str | None:
    """The text of the element with an id; None where there is none."""
    found = next(iter(_having(_tree(html), "id", identifier)), None)
    return None if found is None else _text(found)


def tables(html: str) -> dict[str, Table]:
    """The tables by name: caption, else label of the region that they scroll in.

    A table without a name is known by its columns.
    """
    tree = _tree(html)
    made = {}
    for region in tree.iter():
        for element in region.findall("table"):
            table = _table(element)
            made[_name_of(element, region, tree) or ", ".join(table.columns)] = table
    return made


def table(html: str, name: str = "") -> Table:
    """The table of this name, else the only one whose name begins like this."""
    found = tables(html)
    if name in found:
        return found[name]
    matching = [one for key, one in found.items() if key.startswith(name)]
    assert len(matching) == 1, f"{len(matching)} tables {name!r} among {list(found)}"
    return matching[0]


def links(html: str) -> list[Link]:
    """The links in their order, also those in charts."""
    return _links(_tree(html))


def link(html: str, name: str) -> Link:
    """The only link of a name."""
    found = [one for one in links(html) if one.name == name]
    assert len(found) == 1, f"{len(found)} links {name!r}"
    return found[0]


def addresses(html: str) -> list[str]:
    """Everything that a page leads to or loads, in its order."""
    names = ("href", "action", "src", "hx-get")
    return [
        element.attrib[name]
        for element in _tree(html).iter()
        for name in names
        if name in element.attrib
    ]


def figures(html: str) -> dict[str, str]:
    """The figures and facts: each term with what is said of it, without the words of the help."""
    made: dict[str, str] = {}
    page = _tree(html)
    of_help = {parent for dialog in page.iter("dialog") for parent in dialog.iter()}
    for parent in page.iter():
        if parent in of_help:
            continue
        term = ""
        for child in parent:
            if child.tag == "dt":
                term = _text(child)
                made[term] = ""
            elif child.tag == "dd":
                made[term] = f"{made[term]} {_text(child)}".strip()
    return made


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form.

    Attributes:
        value: As it would be sent; empty for a choice of which nothing is selected.
        checked: Of a box or a switch.
        choice: Text of the selected choice.
        invalid: True if it is marked as invalid.
    """

    name: str
    value: str
    checked: bool = False
    choice: str = ""
    invalid: bool = False


def fields(html: str, name: str) -> list[Field]:
    """All fields of a name, in their order; those in a closed dialog are not seen."""
    tree = _tree(html)
    unseen = [one for dialog in tree.iter("dialog") for one in dialog.iter()]
    return [
        _field(element)
        for element in _having(tree, "name", name)
        if element.tag in ("input", "select", "textarea", "button") and element not in unseen
    ]


def field(html: str, name: str) -> Field:
    """The only field of a name."""
    found = fields(html, name)
    assert len(found) == 1, f"{len(found)} fields {name!r}"
    return found[0]


def csrf_token(html: str) -> str:
    """The token of the page's forms, which is the same in all of them."""
    (found,) = {one.value for one in fields(html, "csrf_token")}
    return found


def form_actions(html: str, method: str = "post") -> list[str]:
    """Where the forms that are sent by a method lead to."""
    return [
        form.get("action", "")
        for form in _tree(html).iter("form")
        if form.get("method", "get") == method
    ]


def _having(tree: Element, attribute: str, value: str) -> list[Element]:
    return [element for element in tree.iter() if element.get(attribute) == value]


def _text(element: Element, *, without: frozenset[str] = _SILENT) -> str:
    return " ".join("".join(_pieces(element, without)).split())


def _pieces(element: Element, without: frozenset[str]) -> Iterator[str]:
    if element.tag in without or element.get("aria-hidden") == "true":
        return
    # Only narrow windows show it, in place of a column.
    if element.get("class") == "to-640":
        return
    around = "" if element.tag in _INLINE else " "
    yield around
    yield element.text or ""
    for child in element:
        yield from _pieces(child, without)
        yield child.tail or ""
    yield around


def _links(tree: Element) -> list[Link]:
    return [
        Link(
            element.get("aria-label") or _text(element),
            element.get("href", ""),
            element.get("aria-current", "false") != "false",
        )
        for element in tree.iter("a")
    ]


def _name_of(table: Element, region: Element, tree: Element) -> str:
    caption = table.find("caption")
    if caption is not None:
        return _text(caption)
    labelled_by = _having(tree, "id", region.get("aria-labelledby", "none"))
    return region.get("aria-label", "") or "".join(map(_text, labelled_by))


def _table(element: Element) -> Table:
    head, *_ = element.iter("thead")
    # A unit or a scale is no part of the name.
    headings = {_text(cell, without=_SILENT | {"small"}): cell for cell in head.iter("th")}
    columns = tuple(headings)
    orders = {name: cell.get("aria-sort", "") for name, cell in headings.items()}
    rows = tuple(
        _row(columns, row) for body in element.findall("tbody") for row in body.findall("tr")
    )
    return Table(columns, rows, {name: order for name, order in orders.items() if order})


def _row(columns: tuple[str, ...], row: Element) -> Row:
    headings = row.findall("th")
    linked = [one for heading in headings for one in _links(heading)]
    name = linked[0].name if linked else " ".join(map(_text, headings))
    titles = [one.attrib["title"] for one in row.iter() if "title" in one.attrib]
    titles += ["".join(one.itertext()) for one in row.iter("title")]
    return Row(
        name,
        dict(zip(columns, map(_text, row), strict=True)),
        tuple(_links(row)),
        tuple(titles),
    )


def _field(element: Element) -> Field:
    value, choice = element.get("value", ""), ""
    if element.tag == "textarea":
        value = element.text or ""
    for option in element.iter("option"):
        if "selected" in option.attrib:
            value, choice = option.get("value", ""), _text(option)
    return Field(
        element.attrib["name"],
        value,
        "checked" in element.attrib,
        choice,
        element.get("aria-invalid") == "true",
    )
