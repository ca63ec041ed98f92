"""Finding and unpacking nginx and PgBouncer, with programs that only pretend."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts import nginx, pgbouncer
from scripts.unpacked import NoProgramError, UnpackedProgram

FAKE_APT = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = download ] && : > nginx.deb
exit 0
"""
FAKE_DPKG = """#!/bin/sh
mkdir -p "$3/usr/sbin"
printf '#!/bin/sh\\nexit {code}\\n' > "$3/usr/sbin/nginx"
chmod +x "$3/usr/sbin/nginx"
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    return path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of programs before /bin, and nothing that was unpacked before."""
    folder = tmp_path / "programs"
    folder.mkdir()
    shell = folder / "shell"
    shell.mkdir()
    for name in ("chmod", "mkdir", "sh"):
        (shell / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", f"{folder}:{shell}")
    monkeypatch.delenv("LENS_TEST_NGINX", raising=False)
    return folder


@pytest.fixture
def wanted(tmp_path: Path) -> UnpackedProgram:
    """That of the tests, but looked for and unpacked elsewhere."""
    return replace(nginx.PROGRAM, folders=(), unpacked=tmp_path / "unpacked")


def pretend(programs: Path, *, code: int = 0) -> Path:
    """An apt-get and a dpkg-deb; gives what apt-get was asked."""
    log = programs / "log"
    program(programs / "apt-get", FAKE_APT.format(log=log))
    program(programs / "dpkg-deb", FAKE_DPKG.format(code=code))
    return log


def test_the_named_one_wins(
    programs: Path, wanted: UnpackedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(programs / "nginx")
    other = program(programs / "other")
    monkeypatch.setenv("LENS_TEST_NGINX", str(other))
    assert wanted.install() == other
    monkeypatch.setenv("LENS_TEST_NGINX", "/nowhere/nginx")
    with pytest.raises(NoProgramError, match="/nowhere/nginx"):
        wanted.install()


def test_one_in_the_path_is_taken(programs: Path, wanted: UnpackedProgram) -> None:
    log = pretend(programs)
    installed = program(programs / "nginx")
    assert wanted.install() == installed
    assert not log.exists()


def test_where_there_is_none_debians_is_unpacked_once(
    programs: Path, wanted: UnpackedProgram, tmp_path: Path
) -> None:
    log = pretend(programs)
    unpacked = tmp_path / "unpacked" / "usr" / "sbin" / "nginx"
    assert wanted.install() == unpacked
    assert wanted.install() == unpacked
    assert log.read_text(encoding="utf-8").count("download") == 1


def test_one_that_does_not_run_here_is_none(
    programs: Path, wanted: UnpackedProgram, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend(programs, code=127)
    assert wanted.install() is None
    assert not (tmp_path / "unpacked").exists()
    assert "127" in capfd.readouterr().err
    assert wanted.main() == 0
    assert "LEFT OUT" in capfd.readouterr().out


def test_without_apt_there_is_none(programs: Path, wanted: UnpackedProgram) -> None:
    assert wanted.install() is None


def test_libraries_are_installed_before_it_is_tried(
    programs: Path, wanted: UnpackedProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = pretend(programs)
    monkeypatch.setattr("scripts.debian.os.geteuid", lambda: 0)
    needy = replace(wanted, libraries=pgbouncer.PROGRAM.libraries)
    assert needy.install() == needy.unpacked / "usr" / "sbin" / "nginx"
    assert "libc-ares2 libevent-2.1-7" in log.read_text(encoding="utf-8")
