"""Somebody else's distribution has a package of our name: an application is told, and starts."""

import logging
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fastapi_lens.distributions import CONFLICTING, OURS, warn_of_conflict

ROOT = Path(__file__).parents[1]


def installed(folder: Path, name: str, *, metadata: str | None) -> None:
    """Metadata as an installer leaves it."""
    info = folder / f"{name}.dist-info"
    info.mkdir()
    if metadata is not None:
        (info / "METADATA").write_text(metadata)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("fastapi_lens-0.3.4", "Metadata-Version: 2.4\nName: fastapi-lens\nVersion: 0.3.4\n"),
        ("FastAPI.Lens-9", "Metadata-Version: 2.1\nName: FastAPI.Lens\nVersion: 9\n"),
        # What an uninstallation that broke off leaves.
        ("fastapi_lens-0.3.4", ""),
        ("fastapi_lens-0.3.4", None),
    ],
)
def test_somebody_elses_distribution_of_our_packages_name_is_told_in_one_sentence(
    name: str,
    metadata: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    installed(tmp_path, name, metadata=metadata)

    warn_of_conflict()

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("fastapi_lens", logging.WARNING)
    message = record.getMessage()
    assert message.startswith(
        "fastapi_lens: the distributions fastapi-lens and fastapi-lens-admin are both installed"
    )
    assert "pip uninstall -y fastapi-lens && pip install" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["fastapi_lens_admin-0.1.0", "fastapi_lenses-1", "fastapi-1"])
def test_distributions_of_other_names_are_no_conflict(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    installed(tmp_path, name, metadata=None)

    warn_of_conflict()

    assert not caplog.records


def test_an_application_whose_warnings_are_errors_starts_with_both(tmp_path: Path) -> None:
    installed(tmp_path, "fastapi_lens-0.3.4", metadata="Name: fastapi-lens\nVersion: 0.3.4\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastapi_lens"

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.count("\n") == 1
    assert "overwrite each other's files" in done.stderr


@pytest.mark.parametrize(
    ("module", "name"),
    [
        # Since SQLAlchemy 2.0.42.
        ("sqlalchemy.engine.interfaces", "DBAPIModule"),
        # Without an extra there is neither.
        ("typer", "Typer"),
        ("rich.console", "Console"),
        ("alembic.util", "DispatchPriority"),
    ],
)
def test_the_package_is_imported_without_what_older_releases_do_not_have(
    module: str, name: str
) -> None:
    program = (
        f"import {module} as module; assert module.{name}; del module.{name}; import fastapi_lens"
    )

    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_two_names_are_those_of_pyproject_and_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["name"] == OURS
    assert CONFLICTING.replace("-", "_") == "fastapi_lens"


def test_the_documentation_installs_our_distribution_and_not_somebody_elses() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    commands = [
        line
        for page in pages
        for line in page.read_text().splitlines()
        if "pip install" in line and "fastapi-lens" in line
    ]

    assert commands
    assert all("fastapi-lens" not in line.replace(OURS, "") for line in commands), commands
