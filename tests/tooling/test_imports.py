"""Tests import all others, and nobody imports tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{one.name}" for one in names)


def imports_of(folder: str, package: str) -> list[str]:
    """Where a folder imports a package, and what of it."""
    return [
        f"{file.relative_to(ROOT)}: {name}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for name in imported(file)
        if f"{name}.".startswith(f"{package}.")
    ]


@pytest.mark.parametrize("folder", ["benchmarks", "example_project", "fastapi_lens", "scripts"])
def test_nothing_but_tests_imports_tests(folder: str) -> None:
    assert imports_of(folder, "tests") == []


@pytest.mark.parametrize("folder", ["example_project", "fastapi_lens"])
def test_the_package_and_the_example_import_no_benchmark(folder: str) -> None:
    assert imports_of(folder, "benchmarks") == []


def test_what_tests_and_benchmarks_share_knows_no_benchmark() -> None:
    found = imports_of("benchmarks/support", "benchmarks")
    assert [one for one in found if ": benchmarks.support." not in one] == []
    assert len(found) > 5
