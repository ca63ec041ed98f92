"""Tests and benchmarks use public names. What is left may only become less."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "tests")
MOST = 16
"""Accesses to private names that are left; each says in a comment why there is no door. Whoever
takes one away makes the number smaller."""

DOCUMENTED = frozenset({"_asdict", "_exit", "_fields", "_make", "_mapping", "_replace"})
"""Public in spite of their underscore: `os._exit`, and those of named tuples and of SQLAlchemy's
rows."""

BY_NAME = frozenset({"attrgetter", "delattr", "getattr", "hasattr", "object", "patch", "setattr"})
"""Functions that take the name of an attribute as text."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in {"_", *DOCUMENTED}


def private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each use of a private name that is not the class's own."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("self" | "cls") | ast.Call(ast.Name("super"))):
                continue
            case ast.Attribute(attr=name) if is_private(name):
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(module=module, names=names):
                parts = [*(module or "").split("."), *(one.name for one in names)]
                yield from ((node.lineno, part) for part in parts if is_private(part))
            case ast.Call(ast.Name(function) | ast.Attribute(attr=function), arguments):
                texts = [one.value for one in arguments if isinstance(one, ast.Constant)]
                if function in BY_NAME:
                    named = (text for text in texts if isinstance(text, str))
                    yield from (
                        (node.lineno, text)
                        for text in named
                        if any(map(is_private, text.split(".")))
                    )


def test_fewer_and_fewer_private_names_are_used_outside_of_the_package() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for line, text in private_names(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert len(found) == MOST, "\n".join(["set MOST, if these are fewer:", *found])


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("database._opened()", ["database._opened"]),
        ("self._x = cls._y = super()._z = self.__dict__", []),
        ("self.flusher._run", ["self.flusher._run"]),
        ("row._asdict()", []),
        ("from fastapi_lens.x import _y, z", ["_y"]),
        ("from fastapi_lens._x import y", ["_x"]),
        ("monkeypatch.setattr(queue, '_latest', {})", ["_latest"]),
        ("monkeypatch.setattr('fastapi_lens.x._y', 1)", ["fastapi_lens.x._y"]),
        ("for _ in names: print('_x')", []),
    ],
)
def test_a_private_name_is_found_however_it_is_reached(code: str, found: list[str]) -> None:
    assert [text for _, text in private_names(ast.parse(code))] == found


def test_no_test_reads_bytecode() -> None:
    found = [
        file.relative_to(ROOT).as_posix()
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(one.name == "dis" for one in node.names))
        or (isinstance(node, ast.Attribute) and node.attr in {"__code__", "co_code"})
    ]
    assert found == []
