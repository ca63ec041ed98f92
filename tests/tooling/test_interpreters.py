"""Interpreters of other versions are found, or it is said what is missing to have them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import interpreters
from scripts.interpreters import Interpreter, NoInterpreterError, find, obtain

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes programs of `sh`, in an environment that has no other Python."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(interpreters, "SYSTEMS", tmp_path / "systems")

    def make(path: str, script: str) -> Path:
        made = tmp_path / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(f"#!/bin/sh\n{script}\n")
        made.chmod(0o755)
        return made

    return make


def test_one_on_path_is_taken(program: Program) -> None:
    found = program("bin/python3.13", "echo 3.13")

    assert find("3.13") == Interpreter(str(found))


@pytest.mark.parametrize(
    "script", ["echo 'version 3.13 is not active'; exit 127", "echo 3.12", "exit 1", "kill -9 $$"]
)
def test_a_shim_that_runs_no_such_python_is_passed_over(program: Program, script: str) -> None:
    program("bin/python3.13", script)
    found = program("pyenv/versions/3.13.7/bin/python3.13", "echo 3.13")

    assert obtain("3.13") == Interpreter(str(found))


def test_nothing_is_found_where_there_is_nothing(program: Program) -> None:
    assert find("3.13") is None
    assert not Interpreter("/no/such/python").is_usable("3.13")


def test_what_is_missing_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(NoInterpreterError) as caught:
        obtain("3.12")

    for words in ("python3.12", "the program debootstrap", "with Python 3.12", "to be root"):
        assert words in str(caught.value)


@pytest.fixture
def debian(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Root on a Debian whose apt knows of one mirror."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program("bin/apt-get", 'echo "mirror://here/debian/ mirror://there/debian/"')
    program("bin/chroot", "exit 1")
    program("bin/unshare", "echo 3.14")
    return program


def test_debians_is_unpacked_once_from_the_mirror_of_this_machine(
    debian: Program, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    debian(
        "bin/debootstrap", f'echo "$@" >>{said}; for root in "$@"; do :; done; /bin/mkdir -p "$4"'
    )

    first, second = obtain("3.14"), obtain("3.14")

    system = tmp_path / "systems" / "sid"
    assert first == second == Interpreter("python3", system)
    (arguments,) = said.read_text().splitlines()
    assert arguments.endswith(f"sid {system} mirror://here/debian/")


@pytest.mark.parametrize(
    ("debootstrap", "apt", "words"),
    [
        ("exit 3", "echo mirror://here", "debootstrap failed with 3"),
        ("exit 0", "", "apt has no lists of packages; run apt-get update"),
        ("exit 0", "exit 4", "apt-get names no mirror"),
    ],
)
def test_a_system_that_cannot_be_unpacked_is_told_and_not_taken(
    debian: Program, tmp_path: Path, debootstrap: str, apt: str, words: str
) -> None:
    debian("bin/debootstrap", debootstrap)
    debian("bin/apt-get", apt)

    with pytest.raises(NoInterpreterError, match=words):
        obtain("3.14")

    assert find("3.14") is None


def test_a_suite_that_has_gone_on_to_another_python_is_told(debian: Program) -> None:
    debian("bin/debootstrap", '/bin/mkdir -p "$4"')
    debian("bin/unshare", "echo 3.15")

    with pytest.raises(NoInterpreterError, match=r"sid has another Python than 3\.14"):
        obtain("3.14")


def test_a_program_of_a_system_runs_inside_of_it_and_leaves_no_mount_point(tmp_path: Path) -> None:
    here, there = Interpreter("python3"), Interpreter("python3", tmp_path)

    assert here.command("python3", "-V") == ["python3", "-V"]
    command = there.command("python3", "-V")
    assert command[:4] == ["unshare", "--mount", "--propagation", "private"]
    assert command[-4:] == [str(tmp_path), str(interpreters.ROOT), "python3", "-V"]
