"""CONTRIBUTING.md shows the packages that exist, in the order of the layers."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_ENTRY = re.compile(r"^( *)([\w./]+(?:, [\w./]+)*)(?:  |$)", re.MULTILINE)


def shown() -> list[str]:
    """The paths in the picture, in its order: folders end with a slash."""
    picture = TEXT.partition("## Packages")[2].partition("```\n")[2].partition("```")[0]
    found: list[str] = []
    above: dict[int, str] = {-1: ""}
    for spaces, names in _ENTRY.findall(picture):
        depth = len(spaces) // 2
        for name in names.split(", "):
            above[depth] = above[depth - 1] + name
            found.append(above[depth])
    return found


def layers(container: str) -> list[set[str]]:
    """The layers of a package from the top, each as the names that share it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    (found,) = (one["layers"] for one in contracts if one.get("containers") == [container])
    return [set(layer.split(" | ")) for layer in found]


def test_every_path_in_the_picture_exists() -> None:
    missing = [path for path in shown() if not (ROOT / path).exists()]
    assert shown()
    assert missing == []


def test_every_folder_of_a_package_with_layers_is_in_the_picture() -> None:
    package = ROOT / "fastapi_lens"
    folders = {path.parent for path in package.glob("*/__init__.py")} | {
        path.parent for name in ("admin", "recording", "storage")
        for path in (package / name).glob("*/__init__.py")
    }  # fmt: skip
    assert {f"{path.relative_to(ROOT).as_posix()}/" for path in folders} <= set(shown())


@pytest.mark.parametrize("package", ["", "admin", "recording", "storage"])
def test_the_picture_has_the_order_of_the_layers(package: str) -> None:
    folder = f"fastapi_lens/{package}/" if package else "fastapi_lens/"
    inside = [path.removeprefix(folder) for path in shown() if path.startswith(folder)]
    names = [path.removesuffix(".py").rstrip("/") for path in inside if path]
    here = [name for name in names if "/" not in name]
    order = layers(folder.rstrip("/").replace("/", "."))
    ranks = [next(rank for rank, layer in enumerate(order) if name in layer) for name in here]
    assert here
    assert ranks == sorted(ranks)
