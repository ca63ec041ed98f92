"""constraints.txt pins what pyproject.toml declares, within its bounds, and names no index."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import constraints

pytestmark = pytest.mark.unit

LINES = constraints.FILE.read_text(encoding="utf-8").splitlines()
PROJECT: dict[str, Any] = tomllib.loads((constraints.ROOT / "pyproject.toml").read_text())


def declared() -> list[Requirement]:
    """All requirements of the package, its extras and its dependency groups."""
    texts = [*PROJECT["project"]["dependencies"]]
    groups = [*PROJECT["project"]["optional-dependencies"].values()]
    for group in (*groups, *PROJECT["dependency-groups"].values()):
        texts += [one for one in group if isinstance(one, str)]
    return [Requirement(text) for text in texts]


def test_every_requirement_has_a_pin_within_its_bounds() -> None:
    pins = constraints.pins_of(LINES)
    wrong = [
        f"{one} is pinned to {pins.get(canonicalize_name(one.name))}"
        for one in declared()
        if pins.get(canonicalize_name(one.name), "") not in one.specifier
    ]
    assert wrong == [], "run make constraints"


def test_a_line_is_a_name_and_a_version_and_the_names_are_sorted() -> None:
    assert LINES[0] == constraints.HEAD.strip()
    assert [one for one in LINES[1:] if not re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", one)] == []
    assert LINES[1:] == sorted(set(LINES[1:]), key=lambda one: one.partition("==")[0])


def test_a_report_of_pip_becomes_pins_without_the_package_itself() -> None:
    names = [("B_b", "2"), ("fastapi_lens-admin", "0.1"), ("a", "1.0")]
    report = {"install": [{"metadata": {"name": n, "version": v}} for n, v in names]}
    text = constraints.text_of(report)
    assert text == f"{constraints.HEAD}a==1.0\nb-b==2\n"
    assert constraints.pins_of(text.splitlines()) == {"a": "1.0", "b-b": "2"}


def test_setup_installs_these_versions_and_notices_when_they_change() -> None:
    setup = (constraints.ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    assert f"constraints=${{CONSTRAINTS-{constraints.FILE.name}}}" in setup
    assert '${constraints:+"$constraints"} pyproject.toml' in setup
