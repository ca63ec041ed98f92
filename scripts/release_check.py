"""Builds and checks the two files of a release from a clean clone: `make release-check`.

``TAG=v1.2.3`` also demands that this is the version, that CHANGELOG.md has its dated section, and
that nothing is left under *Unreleased*. The files land in dist/.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from scripts.smoke import SmokeError, smoke

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^## \[([^]]+)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)
UNRELEASED = "Unreleased"


class NotReadyError(Exception):
    """This commit cannot be released, or not under this tag."""


def check_changelog(text: str, version: str, tag: str | None) -> str:
    """A sentence about the sections of the changelog; each version has one with its date.

    Args:
        text: CHANGELOG.md.
        version: The version of the built files.
        tag: The tag that is about to be published, or None before that.

    Raises:
        NotReadyError: They do not fit.
    """
    found = [(one[1], one[2], one.end()) for one in _SECTION.finditer(text)]
    names = [name for name, _, _ in found]
    if names[:1] != [UNRELEASED]:
        raise NotReadyError(f"CHANGELOG.md does not begin with a section [{UNRELEASED}]")
    undated = [name for name, date, _ in found[1:] if not date]
    if undated:
        raise NotReadyError(f"CHANGELOG.md has no date for {', '.join(undated)}")
    latest = names[1] if names[1:] else None
    if latest is not None and Version(latest) > Version(version):
        raise NotReadyError(f"CHANGELOG.md has {latest}, but the version is {version}")
    if tag is None:
        state = "has its section" if latest == version else "is not released yet"
        return f"CHANGELOG.md: {version} {state}"
    if tag != f"v{version}":
        raise NotReadyError(f"the tag is {tag}, but the version is {version}")
    if latest != version:
        raise NotReadyError(f"CHANGELOG.md has no section [{version}] with a date")
    end = text.index(f"## [{latest}]")
    if text[found[0][2] : end].strip():
        raise NotReadyError(f"CHANGELOG.md still has entries under [{UNRELEASED}]")
    return f"CHANGELOG.md: {version} has its section"


def check_names(files: Sequence[Path], version: str) -> None:
    """Check that there is one wheel and one sdist of a version.

    Raises:
        NotReadyError: There are others.
    """
    found = sorted(
        (
            parse_wheel_filename(one.name)
            if one.suffix == ".whl"
            else parse_sdist_filename(one.name)
        )[:2]
        for one in files
    )
    if found != [("fastapi-lens-admin", Version(version))] * 2:
        raise NotReadyError(f"built were {', '.join(one.name for one in files)}")


def clean_clone(source: Path, target: Path) -> str:
    """Clone what is committed; returns what is not, as git lists it."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", source, target], check=True)
    status = ["git", "status", "--porcelain"]
    done = subprocess.run(status, cwd=source, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def build(clone: Path, out: Path) -> list[Path]:
    """The sdist, and the wheel that is built from it; both are checked by twine and others."""
    tool = [sys.executable, "-m"]
    # The wheel is built from the sdist, as an installer without a wheel would do it.
    run = [*tool, "build", "--no-isolation", "--outdir", str(out), str(clone)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    files = sorted(out.iterdir())
    subprocess.run([*tool, "twine", "check", "--strict", *map(str, files)], check=True)
    wheels = [str(one) for one in files if one.suffix == ".whl"]
    subprocess.run([*tool, "check_wheel_contents", *wheels], check=True)
    return files


def release_check(tag: str | None, *, source: Path, out: Path) -> None:
    """Do all checks, and leave both files in a folder.

    Args:
        tag: See `check_changelog`.
        source: The checkout.
        out: The folder, which is made anew.

    Raises:
        NotReadyError: The commit cannot be released.
        SmokeError: The wheel does not work.
        CalledProcessError: A tool has found a fault, and said which.
    """
    with TemporaryDirectory() as name:
        clone, built = Path(name, "clone"), Path(name, "dist")
        uncommitted = clean_clone(source, clone)
        if uncommitted and tag is not None:
            raise NotReadyError(f"uncommitted changes:\n{uncommitted}")
        if uncommitted:
            print("release-check: uncommitted changes are not in it")
        files = build(clone, built)
        version = smoke(next(one for one in files if one.suffix == ".whl"))
        check_names(files, version)
        print(check_changelog((clone / "CHANGELOG.md").read_text(encoding="utf-8"), version, tag))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(built, out)
    print(f"release-check: {', '.join(one.name for one in files)} can be published")


def main(tags: Sequence[str]) -> int:
    """The command, with the tag or without one."""
    try:
        release_check(tags[0] if tags else None, source=ROOT, out=ROOT / "dist")
    except (NotReadyError, SmokeError, subprocess.CalledProcessError) as error:
        print(f"release-check: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
