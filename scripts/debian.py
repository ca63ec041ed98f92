"""Installs packages of Debian, where this is root there. Knows no package's name."""

import os
import shutil
import subprocess
import sys


def can_install() -> bool:
    """Whether packages can be installed: apt-get is there, and this is root."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(*packages: str) -> None:
    """Install packages, with what apt-get knows of them or, if that fails, with fresh lists.

    Raises:
        subprocess.CalledProcessError: apt-get cannot.
    """
    try:
        _install(packages)
    except subprocess.CalledProcessError:
        _run("apt-get", "update", "-qq")
        _install(packages)


def _install(packages: tuple[str, ...]) -> None:
    # Somebody else may be installing something at this moment.
    patient = ("-o", "DPkg::Lock::Timeout=120")
    _run("apt-get", "install", *patient, "-qq", "--yes", *packages)


def _run(*command: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=quiet, stdout=sys.stderr)
