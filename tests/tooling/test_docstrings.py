"""The first line of a docstring names the thing: held for every Python file of the repository."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("fastapi_lens", "tests", "benchmarks", "example_project", "scripts")
RIDDLES = ("What", "Who", "Whom", "Whose", "Whoever", "Whether", "How")
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
DOCUMENTED = '''"""Of a module."""

LIMIT = 1
"""Of a constant."""


class Call:
    """Of a class.

    Attributes:
        path: Of a field.
    """


def repeat(times):
    """Of a function.

    Args:
        times: Of an argument: with a colon,
            and a second line.

    Returns:
        Of a value.
    """
    return "no description"
'''

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_begins_with_what_who_whether_or_how(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in _first_lines(ast.parse(path.read_text(encoding="utf-8")))
        if text.split()[0].rstrip(",.:;") in RIDDLES
    ]
    assert not found, "Name the thing in the first line:\n" + "\n".join(found)


def test_every_docstring_and_each_entry_of_its_sections_is_read() -> None:
    found = [text for _, text in _first_lines(ast.parse(DOCUMENTED))]
    assert sorted(found) == [
        "Of a class.",
        "Of a constant.",
        "Of a field.",
        "Of a function.",
        "Of a module.",
        "Of a value.",
        "Of an argument: with a colon,",
    ]


def _first_lines(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line number and first line of each docstring, entry of one, and string below a name."""
    for node in ast.walk(tree):
        if isinstance(node, _Documented):
            yield from _of_docstring(node)
        if isinstance(node, ast.Module | ast.ClassDef):
            for above, below in pairwise(node.body):
                if isinstance(above, ast.Assign | ast.AnnAssign) and (text := _text(below)):
                    yield below.lineno, text.splitlines()[0]


def _of_docstring(node: _Documented) -> Iterator[tuple[int, str]]:
    """The same of one docstring and of the entries of its sections."""
    if not node.body or not (text := _text(node.body[0])):
        return
    line = node.body[0].lineno
    rows = [row.strip() for row in text.splitlines()]
    yield line, rows[0]
    in_section = False
    for offset, (before, row) in enumerate(pairwise(rows), start=1):
        in_section = in_section or before in SECTIONS
        name, colon, described = row.partition(": ")
        if in_section and colon and name.isidentifier():
            yield line + offset, described
        elif before in SECTIONS:
            yield line + offset, row


def _text(node: ast.AST) -> str:
    """The text of a statement that is nothing but a string; empty for any other one."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value.strip() if isinstance(node.value.value, str) else ""
    return ""
