"""Finding and installing the browser, with programs that only pretend."""

import os
from pathlib import Path

import pytest

from scripts import chromium

FAKE_APT = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = install ] && printf '#!/bin/sh\\n' > {folder}/chromium && chmod +x {folder}/chromium
exit 0
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of programs before /bin, and no browser that Playwright has downloaded."""
    folder = tmp_path / "programs"
    folder.mkdir()
    shell = folder / "shell"
    shell.mkdir()
    for name in ("chmod", "sh"):
        (shell / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", f"{folder}:{shell}")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    monkeypatch.delenv("LENS_TEST_CHROMIUM", raising=False)
    return folder


def test_the_named_browser_wins(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs / "chromium")
    other = program(programs / "other")
    monkeypatch.setenv("LENS_TEST_CHROMIUM", str(other))

    assert chromium.find() == other


def test_a_named_browser_that_is_none_is_an_error_and_nothing_is_installed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs / "apt-get", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("LENS_TEST_CHROMIUM", "/nowhere/chromium")

    with pytest.raises(chromium.NoChromiumError, match="/nowhere/chromium"):
        chromium.install()


def test_a_browser_in_the_path_is_taken(programs: Path) -> None:
    installed = program(programs / "google-chrome")

    assert chromium.install() == installed


def test_no_browser_at_all_says_what_to_install(programs: Path) -> None:
    with pytest.raises(chromium.NoChromiumError, match="apt-get install chromium"):
        chromium.find()


def test_root_on_debian_gets_the_package(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "apt.log"
    program(programs / "apt-get", FAKE_APT.format(log=log, folder=programs))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert chromium.install() == programs / "chromium"
    (install,) = log.read_text(encoding="ascii").splitlines()
    assert "chromium" in install.split()


def test_a_package_that_cannot_be_installed_is_an_error(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs / "apt-get", "#!/bin/sh\nexit 100\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(chromium.NoChromiumError, match="apt-get update"):
        chromium.install()
