"""The package imports exactly its declared dependencies, each in the extra of its part."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fastapi_lens"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

NEVER_REQUIRED = {"alembic"}
"""Alembic loads the plug-in itself, where it is installed."""

LOADED_BY_OTHERS = {
    "python-multipart": "Starlette reads forms with it",
    "psycopg": "SQLAlchemy's driver",
    "pymysql": "SQLAlchemy's driver",
}


def imports(source: str) -> Iterator[str]:
    """Top-level names of all absolute imports that run, those in functions, too."""
    tree = ast.parse(source)
    typing_only = {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for below in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                str(each.value).partition(".")[0]
                for each in node.args
                if isinstance(each, ast.Constant)
            )


@cache
def distributions() -> dict[str, str]:
    """The distribution of each package that is installed."""
    return {name: canonicalize_name(found[0]) for name, found in packages_distributions().items()}


def needed(file: Path) -> set[str]:
    """The distributions that a module imports from."""
    names = set(imports(file.read_text())) - sys.stdlib_module_names - {"fastapi_lens"}
    return {distributions()[name] for name in names} - NEVER_REQUIRED


def declared(*extras: str) -> set[str]:
    """The distributions of `[project] dependencies` and of extras."""
    optional = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def modules(*, command_line: bool) -> list[Path]:
    """Modules of the command line, or all others."""
    return [
        each
        for each in sorted(PACKAGE.rglob("*.py"))
        if (each.is_relative_to(PACKAGE / "cli") or each.name == "__main__.py") == command_line
    ]


@pytest.mark.parametrize(
    ("command_line", "extras"), [(False, ()), (True, ("cli",))], ids=["core", "cli"]
)
def test_every_distribution_that_is_imported_is_declared(
    *, command_line: bool, extras: tuple[str, ...]
) -> None:
    missing = {
        file.relative_to(ROOT).as_posix(): found
        for file in modules(command_line=command_line)
        if (found := needed(file) - declared(*extras))
    }

    assert not missing


def test_every_distribution_that_is_declared_is_used() -> None:
    everywhere = [*modules(command_line=False), *modules(command_line=True)]
    used = {name for file in everywhere for name in needed(file)}

    assert declared("cli", "mysql", "postgresql") - used == set(LOADED_BY_OTHERS)


def test_every_dependency_has_one_plain_minimum() -> None:
    texts = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        texts += extra

    assert [
        text for text in texts if not re.fullmatch(r"[\w.-]+(\[\w+\])?>=\d+(\.\d+)*", text)
    ] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a.b, c", {"a", "c"}),
        ("from a.b import c", {"a"}),
        ("from .a import b\nfrom . import c", set()),
        ("def f():\n    import a", {"a"}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}),
        ("importlib.import_module('a.b')", {"a"}),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", {"b"}),
        ("if typing.TYPE_CHECKING:\n    from a import b", set()),
    ],
)
def test_imports_are_found_wherever_they_run(source: str, found: set[str]) -> None:
    assert set(imports(source)) == found
