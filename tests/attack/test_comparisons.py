"""Keys and tokens are compared in a time that tells nothing: held by the structure of the code."""

import ast
import hmac
from pathlib import Path
from typing import Any

import pytest

import fastapi_lens
from fastapi_lens import LensConfig
from fastapi_lens.admin.access.key_store import KeyStore

pytestmark = pytest.mark.unit

PACKAGE = Path(fastapi_lens.__file__).parent
MODULES = (
    *(PACKAGE / "admin/access").glob("*.py"),
    *(PACKAGE / "admin/pages/login").glob("*.py"),
    *(
        PACKAGE / name
        for name in ("admin/router.py", "admin/refusals.py", "admin/http/requests.py")
    ),
    *(PACKAGE / name for name in ("config/keys.py", "config/authorize.py")),
)
SECRETS = {"digest", "key", "mark", "password", "presented", "secret", "signature", "token"}
"""Words of names that hold what nobody may find out by timing."""


def secret_comparisons(source: str) -> list[str]:
    """Comparisons by value of something whose name says that it is a secret."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and not all(
            isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops
        ):
            sides = [node.left, *node.comparators]
            # What is compared with a constant or counted is told apart by no secret.
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(_is_secret(side) for side in sides):
                found.append(ast.unparse(node))
    return found


def _is_secret(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) == "len":
            return False  # Of digests, which are all as long.
        return any(map(_is_secret, node.args)) or _is_secret(node.func)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(_is_secret, node.elts))
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    # Names in capitals are constants of the code.
    return bool(SECRETS & set(str(name).split("_")))


def test_no_secret_is_compared_with_an_operator() -> None:
    for module in MODULES:
        assert secret_comparisons(module.read_text(encoding="utf-8")) == [], module


@pytest.mark.parametrize(
    "line",
    ["presented == self.key", "token != x", "x in (secret, y)", "self.csrf_token == form",
     "f(digest) == g()", "mark in marks", "key in known"],
)  # fmt: skip
def test_the_check_sees_such_a_comparison(line: str) -> None:
    assert secret_comparisons(line) == [line]


@pytest.mark.parametrize("line", ["key is None", "len(x) == y", "name == other", "key == ''"])
def test_the_check_lets_others_through(line: str) -> None:
    assert secret_comparisons(line) == []


def test_every_key_is_compared_with_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {f"name-{number}": f"key-{number}" for number in range(5)}
    ring = KeyStore(LensConfig(report_keys=dict(keys)).keys)
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def counting(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for presented in ("key-0", "key-4", "wrong", "key-00", "\ud83d\ude00", b"\xff"):
        compared.clear()
        ring.name_of(presented)
        assert len(compared) == len(keys)
        # Digests of one length, so that not even the length of a key shows.
        assert {len(side) for pair in compared for side in pair} == {32}
