"""The pins of each environment are those of what pyproject.toml declares, and name no index."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import constraints, frameworks
from scripts.constraints import DEVELOPMENT, FRAMEWORKS, Environment

pytestmark = pytest.mark.unit

PROJECT: dict[str, Any] = tomllib.loads((constraints.ROOT / "pyproject.toml").read_text())
each_environment = pytest.mark.parametrize(
    "environment", [DEVELOPMENT, FRAMEWORKS], ids=lambda one: one.maker
)


def lines_of(environment: Environment) -> list[str]:
    """The lines of its file."""
    return environment.file.read_text(encoding="utf-8").splitlines()


def declared(environment: Environment) -> list[Requirement]:
    """All requirements of the package, its extras and the dependency groups of an environment."""
    groups: dict[str, Any] = PROJECT["dependency-groups"]
    is_other = {one.group for one in (DEVELOPMENT, FRAMEWORKS)} - {environment.group}
    texts = [*PROJECT["project"]["dependencies"]]
    if environment.extras:
        lists = [*PROJECT["project"]["optional-dependencies"].values()]
        lists += [group for name, group in groups.items() if name not in is_other]
    else:
        lists = [groups[environment.group]]
    texts += [one for group in lists for one in group if isinstance(one, str)]
    return [Requirement(text) for text in texts]


@each_environment
def test_every_requirement_has_a_pin_within_its_bounds(environment: Environment) -> None:
    pins = constraints.pins_of(lines_of(environment))
    wrong = [
        f"{one} is pinned to {pins.get(canonicalize_name(one.name))}"
        for one in declared(environment)
        if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    assert wrong == [], "run make constraints"


@each_environment
def test_a_line_is_a_name_and_a_version_and_the_names_are_sorted(environment: Environment) -> None:
    head, *lines = lines_of(environment)
    assert head == environment.head
    assert [one for one in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", one)] == []
    assert lines == sorted(set(lines), key=lambda one: one.partition("==")[0])


def test_a_report_of_pip_becomes_pins_without_the_package_itself() -> None:
    names = [("B_b", "2"), ("fastapi_lens-admin", "0.1"), ("a", "1.0")]
    report = {"install": [{"metadata": {"name": n, "version": v}} for n, v in names]}
    text = constraints.text_of(report, "# Head")
    assert text == "# Head\na==1.0\nb-b==2\n"
    assert constraints.pins_of(text.splitlines()) == {"a": "1.0", "b-b": "2"}


def test_setup_installs_these_versions_and_notices_when_they_change() -> None:
    setup = (constraints.ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    assert f"constraints=${{CONSTRAINTS-{constraints.FILE.name}}}" in setup
    assert '${constraints:+"$constraints"} pyproject.toml' in setup


def test_the_recipes_run_with_the_fastapi_that_all_other_tests_have() -> None:
    both = [constraints.pins_of(lines_of(one)) for one in (DEVELOPMENT, FRAMEWORKS)]
    for name in ("fastapi", "pydantic", "sqlmodel", "starlette"):
        assert both[0][name] == both[1][name]


def test_the_environment_of_the_recipes_is_made_anew_when_what_it_needs_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frameworks, "FOLDER", tmp_path)
    assert frameworks.find() is None
    (tmp_path / "asked-for").write_text(frameworks.fingerprint())
    assert frameworks.find() == tmp_path / "bin" / "python"

    other = tmp_path / "constraints.txt"
    other.write_text("fastapi==0.1\n")
    monkeypatch.setattr(frameworks, "CONSTRAINTS", other)
    assert frameworks.find() is None
