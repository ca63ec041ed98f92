"""Passed tests are remembered for exactly the inputs that they passed with."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scripts import chromium
from scripts.suite import AGAIN, PASSED, fingerprint, run

ALL = ["-n", "2", "--cov", "--cov-report=term"]
QUICK = ["-n", "2", "-m", "not (browser or server)"]


class Checkout:
    """A folder under git, and a pytest that notes how it was started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[list[str]] = []
        self.code = 0
        self.meanwhile: Callable[[], object] = lambda: None
        subprocess.run(["git", "init", "--quiet", str(root)], check=True)
        self.write("package.py", "A = 1\n")
        self.write(".gitignore", f"ignored\n{PASSED}\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def test(self, *added: str, fresh: bool = False) -> list[str]:
        """Run the suite; what pytest was started with."""
        arguments = ["-n", "2", "--", "browser or server", *added]
        assert run(arguments, start=self.start, root=self.root, fresh=fresh) == self.code
        return self.started[-1]

    def start(self, arguments: Sequence[str]) -> int:
        self.started.append(list(arguments))
        self.meanwhile()
        return self.code


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_what_is_slow_is_left_out_where_all_has_passed_with_the_same_files(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkout.test() == ALL
    assert AGAIN not in capsys.readouterr().out
    assert checkout.test() == QUICK
    assert AGAIN in capsys.readouterr().out
    assert checkout.test() == QUICK


def test_all_runs_where_it_is_asked_for(checkout: Checkout) -> None:
    checkout.test()
    assert checkout.test(fresh=True) == ALL
    assert checkout.test("-k", "histogram") == [*ALL, "-k", "histogram"]
    assert checkout.test() == QUICK


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "package.py").write_text("A = 2\n"),
        lambda root: (root / "new.py").write_text(""),
        lambda root: (root / "package.py").rename(root / "other.py"),
        lambda root: (root / "package.py").unlink(),
        lambda root: (root / "package.py").chmod(0o755),
    ],
    ids=["edited", "new", "renamed", "deleted", "made to run"],
)
def test_all_runs_where_a_file_is_another(
    checkout: Checkout, change: Callable[[Path], object]
) -> None:
    checkout.test()
    change(checkout.root)
    assert checkout.test() == ALL


def test_what_git_ignores_decides_nothing(checkout: Checkout) -> None:
    checkout.test()
    checkout.write("ignored", "a log")
    assert checkout.test() == QUICK


def test_what_has_failed_is_not_remembered(checkout: Checkout) -> None:
    checkout.code = 1
    checkout.test()
    checkout.code = 0
    assert checkout.test() == ALL

    checkout.code = 1
    assert checkout.test() == QUICK
    checkout.code = 0
    assert checkout.test() == ALL


def test_a_part_that_has_passed_is_not_all(checkout: Checkout) -> None:
    checkout.test("-k", "histogram")
    assert checkout.test() == ALL


def test_what_was_edited_while_it_ran_has_not_passed(checkout: Checkout) -> None:
    checkout.meanwhile = lambda: checkout.write("package.py", "A = 2\n")
    checkout.test()
    assert checkout.test() == ALL


def test_other_packages_programs_and_settings_make_another_fingerprint(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = {fingerprint(checkout.root, {})}
    found.add(fingerprint(checkout.root, {"LENS_TEST_PG_BIN": "/opt/pg/bin"}))
    with monkeypatch.context() as patch:
        (tmp_path / "other-1.0.dist-info").mkdir()
        patch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        found.add(fingerprint(checkout.root, {}))
    with monkeypatch.context() as patch:
        patch.setattr(chromium, "find", lambda: tmp_path / "package.py")
        found.add(fingerprint(checkout.root, {}))
    with monkeypatch.context() as patch:
        patch.setenv("LENS_TEST_PG_BIN", str(tmp_path))
        found.add(fingerprint(checkout.root, {}))
    assert len(found) == 5
    assert fingerprint(checkout.root, {"HOME": "/root"}) in found


def test_without_git_all_of_it_runs_each_time(tmp_path: Path) -> None:
    started: list[list[str]] = []

    def start(arguments: Sequence[str]) -> int:
        started.append(list(arguments))
        return 0

    for _ in range(2):
        run(["-n", "2", "--", "browser or server"], start=start, root=tmp_path)
    assert started == [ALL, ALL]
