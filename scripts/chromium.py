"""Finds a Chromium for browser tests and screenshots, or installs one. Drives none.

Looked for in this order: ``LENS_TEST_CHROMIUM``, a browser in PATH, the one that Playwright has
downloaded. ``python -m scripts.chromium --install`` adds one where there is none: Debian's
package when it runs as root, else Playwright's own download.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from scripts import debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

HELP = (
    "No Chromium was found. Install one (on Debian: apt-get install chromium; elsewhere: "
    "python -m playwright install --with-deps chromium), or name it in LENS_TEST_CHROMIUM."
)

_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


class NoChromiumError(RuntimeError):
    """There is no Chromium; the message says how to get one."""


def launch_arguments() -> list[str]:
    """Arguments that keep the browser from calling home, and let root start it."""
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [*_QUIET, *sandbox]


def find() -> Path:
    """The browser's program.

    Raises:
        NoChromiumError: None was found, or ``LENS_TEST_CHROMIUM`` names nothing that runs.
    """
    named = os.environ.get("LENS_TEST_CHROMIUM")
    if named:
        found = shutil.which(named)
        if found is None:
            raise NoChromiumError(f"LENS_TEST_CHROMIUM names {named!r}, which is no program.")
        return Path(found)
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    return _downloaded()


def install() -> Path:
    """The browser that is found, else one that is installed now.

    Raises:
        NoChromiumError: There is none, and none could be installed.
    """
    try:
        return find()
    except NoChromiumError:
        if os.environ.get("LENS_TEST_CHROMIUM"):
            raise
    try:
        if debian.can_install():
            print("chromium: installing Debian's package", flush=True)
            debian.install("chromium", "fonts-liberation")
        else:
            print("chromium: letting Playwright download one", flush=True)
            command = (sys.executable, "-m", "playwright", "install", "chromium")
            subprocess.run(command, check=True, stdout=sys.stderr)
    except subprocess.CalledProcessError as error:
        raise NoChromiumError(f"{' '.join(error.cmd)} failed. {HELP}") from error
    return find()


def _downloaded() -> Path:
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    if not path.is_file():
        raise NoChromiumError(HELP)
    return path


def main() -> int:
    """Print the browser's path; ``--install`` installs one where there is none."""
    try:
        path = install() if "--install" in sys.argv[1:] else find()
    except NoChromiumError as error:
        print(f"chromium: {error}", file=sys.stderr)
        return 1
    print(f"chromium: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
