"""A build fetches htmx where it is missing, and needs an npm only then."""

import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import hatch_build

pytestmark = pytest.mark.unit


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which htmx has been fetched."""
    vendor = tmp_path / hatch_build.VENDOR
    vendor.mkdir(parents=True)
    for name in hatch_build.VENDORED.values():
        (vendor / name).touch()
    (tmp_path / "package-lock.json").write_text("{}", encoding="ascii")
    marker = vendor / hatch_build.MARKER
    marker.write_text(hatch_build.hash_of_lock(tmp_path) + "\n", encoding="ascii")
    return tmp_path


def dependencies(root: Path) -> list[str]:
    """Packages that a build of a folder asks the installer for."""
    nothing: Any = Mock()
    hook = hatch_build.AssetsHook(str(root), {}, nothing, nothing, "", "wheel")
    return hook.dependencies()


@pytest.mark.parametrize("npm", [None, "/usr/bin/npm"])
def test_a_build_with_htmx_needs_nothing_more(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, npm: str | None
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: npm)

    assert dependencies(checkout) == []


@pytest.mark.parametrize("state", ["never fetched", "file missing", "lock file changed"])
def test_a_build_that_has_to_fetch_htmx_asks_for_node_where_there_is_no_npm(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    if state == "never fetched":
        shutil.rmtree(checkout / hatch_build.VENDOR)
    elif state == "file missing":
        (checkout / hatch_build.VENDOR / "htmx.min.js").unlink()
    else:
        (checkout / "package-lock.json").write_text('{"packages": {}}', encoding="ascii")

    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert dependencies(checkout) == [hatch_build.NODE]

    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/npm")
    assert dependencies(checkout) == []
