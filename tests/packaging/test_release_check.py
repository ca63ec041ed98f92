"""`make release-check` passes for a clean clone in an empty environment."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import release_check
from scripts.release_check import NotReadyError

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]


def test_the_committed_state_can_be_built_checked_installed_and_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dist"
    release_check.release_check(None, source=release_check.ROOT, out=out)
    assert sorted(one.suffix for one in out.iterdir()) == [".gz", ".whl"]
    assert "can be published" in capsys.readouterr().out


def test_a_tag_is_refused_while_something_is_not_committed(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    git = [str(shutil.which("git")), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    (checkout / "CHANGELOG.md").write_text("## [Unreleased]\n", encoding="utf-8")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *command], cwd=checkout, check=True)
    (checkout / "more.py").touch()
    with pytest.raises(NotReadyError, match="uncommitted changes"):
        release_check.release_check("v1", source=checkout, out=tmp_path / "dist")
