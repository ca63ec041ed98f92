"""Installs or unpacks packages of Debian. Knows no package's name."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def can_install() -> bool:
    """True when packages can be installed: apt-get exists, and this is root."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(*packages: str) -> None:
    """Install packages, without what they only recommend.

    With what apt-get knows of them or, if that fails, with fresh lists.

    Raises:
        subprocess.CalledProcessError: apt-get cannot.
    """
    try:
        _install(packages)
    except subprocess.CalledProcessError:
        _run("apt-get", "update", "-qq")
        _install(packages)


def can_unpack() -> bool:
    """True when packages can be fetched and unpacked, which needs no root."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def unpack(package: str, folder: Path) -> None:
    """Unpack a package into a folder, without what it depends on and without its scripts.

    Raises:
        subprocess.CalledProcessError: apt-get or dpkg-deb cannot.
    """
    with tempfile.TemporaryDirectory() as fetched:
        try:
            _fetch(package, fetched)
        except subprocess.CalledProcessError:
            if not can_install():
                raise
            _run("apt-get", "update", "-qq")
            _fetch(package, fetched)
        (archive,) = Path(fetched).glob("*.deb")
        _run("dpkg-deb", "--extract", str(archive), str(folder))


def _fetch(package: str, folder: str) -> None:
    # apt-get's own account must be able to write there, or it warns.
    _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package, folder=folder)


def _install(packages: tuple[str, ...]) -> None:
    # Somebody else may be installing something at this moment.
    patient = ("-o", "DPkg::Lock::Timeout=120")
    _run("apt-get", "install", *patient, "-qq", "--yes", "--no-install-recommends", *packages)


def _run(*command: str, folder: str | None = None) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=quiet, stdout=sys.stderr, cwd=folder)
