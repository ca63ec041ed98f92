"""Finding and unpacking nginx, with programs that only pretend."""

from pathlib import Path

import pytest

from scripts import nginx

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
    monkeypatch.setattr(nginx, "FOLDERS", ())
    monkeypatch.setattr(nginx, "UNPACKED", tmp_path / "unpacked")
    monkeypatch.delenv("LENS_TEST_NGINX", raising=False)
    return folder


def pretend(programs: Path, *, code: int = 0) -> Path:
    """An apt-get and a dpkg-deb; gives what apt-get was asked."""
    log = programs / "log"
    program(programs / "apt-get", FAKE_APT.format(log=log))
    program(programs / "dpkg-deb", FAKE_DPKG.format(code=code))
    return log


def test_the_named_one_wins(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs / "nginx")
    other = program(programs / "other")
    monkeypatch.setenv("LENS_TEST_NGINX", str(other))
    assert nginx.install() == other
    monkeypatch.setenv("LENS_TEST_NGINX", "/nowhere/nginx")
    with pytest.raises(nginx.NoNginxError, match="/nowhere/nginx"):
        nginx.install()


def test_one_in_the_path_is_taken(programs: Path) -> None:
    log = pretend(programs)
    installed = program(programs / "nginx")
    assert nginx.install() == installed
    assert not log.exists()


def test_where_there_is_none_debians_is_unpacked_once(programs: Path, tmp_path: Path) -> None:
    log = pretend(programs)
    unpacked = tmp_path / "unpacked" / "usr" / "sbin" / "nginx"
    assert nginx.install() == unpacked
    assert nginx.install() == unpacked
    assert log.read_text(encoding="utf-8").count("download") == 1


def test_one_that_does_not_run_here_is_none(
    programs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend(programs, code=127)
    assert nginx.install() is None
    assert not (tmp_path / "unpacked").exists()
    assert "127" in capfd.readouterr().err
    assert nginx.main() == 0
    assert "LEFT OUT" in capfd.readouterr().out


def test_without_apt_there_is_none(programs: Path) -> None:
    assert nginx.install() is None
