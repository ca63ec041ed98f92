"""Brings htmx into static/fastapi_lens/vendor/ while a package is built. Not imported at run time.

htmx is no part of the repository. A build from a checkout takes the release that
package-lock.json names, whose integrity npm checks, and leaves a marker with the hash of the
lock file; a build that finds that marker (the next one, or one from an sdist) needs no npm.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDORED = {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE.txt"}
"""Files of the npm package htmx.org, and what they are called in the vendor folder."""

MARKER = ".package-lock.sha256"

NPM_CI = ("ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--silent")


class AssetsHook(BuildHookInterface[Any]):
    """Runs before every wheel, sdist and editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Make the vendor folder, where it is missing or of another lock file.

        Args:
            version: Kind of the build, for example ``editable``.
            build_data: What hatchling lets a hook change.

        Raises:
            RuntimeError: htmx has to be fetched and cannot be.
        """
        root = Path(self.root)
        vendor = root / "static" / "fastapi_lens" / "vendor"
        wanted = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
        if not is_current(vendor, wanted):
            self.app.display_info("fetching htmx with npm")
            fetch(root, vendor)
            (vendor / MARKER).write_text(wanted + "\n", encoding="ascii")


def is_current(vendor: Path, wanted: str) -> bool:
    """Whether the vendor folder is complete and made from this very lock file."""
    marker = vendor / MARKER
    complete = all((vendor / name).is_file() for name in (MARKER, *VENDORED.values()))
    return complete and marker.read_text(encoding="ascii").strip() == wanted


def fetch(root: Path, vendor: Path) -> None:
    """Install htmx in a folder of its own and copy what the pages need.

    Not in the checkout: ``npm ci`` there would remove the tools that a developer has installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        message = (
            f"{vendor} is missing or outdated, and npm was not found. Building fastapi-lens-admin "
            "from a checkout needs npm (it comes with Node.js) to fetch htmx; a released wheel or "
            "sdist has it inside and needs none."
        )
        raise RuntimeError(message)
    with tempfile.TemporaryDirectory(prefix="fastapi-lens-npm-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(root / name, Path(folder) / name)
        try:
            subprocess.run([npm, *NPM_CI], cwd=folder, check=True)
        except subprocess.CalledProcessError as error:
            message = f"npm could not fetch htmx (it exited with {error.returncode}; see above)"
            raise RuntimeError(message) from error
        vendor.mkdir(parents=True, exist_ok=True)
        for source, name in VENDORED.items():
            shutil.copyfile(Path(folder) / "node_modules" / "htmx.org" / source, vendor / name)
