"""The messages of the package: what it logs and what its errors say, read from its syntax trees.

A message is a text with ``…`` for each value in it. Debug messages are left out, because nobody has
to act on them.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fastapi_lens"
BUILD = ROOT / "hatch_build.py"
"""Runs where the package is built, and says what is missing there."""

SOURCES: Mapping[str, frozenset[str]] = {
    "admin/access/authenticator.py": frozenset({"Refusal"}),
    "config/checks.py": frozenset({"trusted_origin"}),
    "config/keys.py": frozenset({"problem_with"}),
    "config/lens_config.py": frozenset({"REMOVED", "unguarded"}),
    "config/places.py": frozenset({"place_of"}),
    "config/values.py": frozenset({"_wrong"}),
    "notifications/http_post.py": frozenset({"_problem"}),
    "recording/ownership.py": frozenset({"warn_of_nested_lens"}),
    "runtime/start_warnings.py": frozenset({"notes"}),
    "startup_checks.py": frozenset({"misspelt", "unreachable"}),
    "storage/transfer/inspect.py": frozenset({"NAMESAKE"}),
}
"""Functions, classes and constants whose sentences others log or raise."""

_LEVELS = frozenset({"info", "warning", "error", "exception", "critical", "log"})
_LOGGING = frozenset({"_warn", "_log_quietly"})
"""Functions of the package that log their first argument."""

_NAMING = frozenset({"ConfigError", "OverrideError", "CommandError"})
"""Errors whose second argument is the message."""

_BUILT_IN = frozenset({"LookupError", "RuntimeError", "TypeError", "ValueError"})
_FORMAT = re.compile(r"%(\(\w+\))?(\.\d+)?[sdgf]")
_NO_WORDS = re.compile(r"(fastapi_lens)?[\s…:;.,()]*")
_SENTENCE = re.compile(r"[^,;]\S*( \S+){3,}\s?")
"""A text of a source that is no name and no end of a sentence."""


@dataclass
class Messages:
    """The messages of the package, and the places that hand others on.

    Attributes:
        texts: The messages.
        handed_on: Functions that log or raise a message from elsewhere, as ``module: function``.
    """

    texts: set[str] = field(default_factory=set)
    handed_on: set[str] = field(default_factory=set)


class _Finder(ast.NodeVisitor):
    """Collects the messages of one module."""

    def __init__(
        self, module: str, errors: frozenset[str], constants: Mapping[str, str], found: Messages
    ) -> None:
        self.sources = SOURCES.get(module, frozenset())
        self.module, self.errors, self.constants, self.found = module, errors, constants, found
        self.scopes: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        """Visit a node; what has a name is a scope for those below it."""
        name = getattr(node, "name", "") or _name(_target(node))
        if name in self.sources or (name == "__str__" and self._is_in_error()):
            self.found.texts.update(_sentences(node))
        is_scope = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        self.scopes += [node] if is_scope else []
        super().visit(node)
        if is_scope:
            self.scopes.pop()

    def visit_Raise(self, node: ast.Raise) -> None:
        """Add the message of an error."""
        call = node.exc
        if isinstance(call, ast.Call) and call.args:
            name = _name(call.func)
            if name in self.errors | _BUILT_IN:
                self._add(call.args[1 if name in _NAMING else 0])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Add what is logged."""
        function = node.func
        if isinstance(function, ast.Attribute) and _name(function.value) == "logger":
            if function.attr in _LEVELS:
                self._add(node.args[1 if function.attr == "log" else 0])
        elif _name(function) in _LOGGING:
            self._add(node.args[0])
        self.generic_visit(node)

    def _is_in_error(self) -> bool:
        return bool(self.scopes) and getattr(self.scopes[-1], "name", "") in self.errors

    def _add(self, argument: ast.expr) -> None:
        texts = [text for text in self._texts(argument) if not _NO_WORDS.fullmatch(text)]
        self.found.texts.update(texts)
        if not texts:
            name = getattr(self.scopes[-1], "name", "")
            self.found.handed_on.add(f"{self.module}: {name}")

    def _texts(self, node: ast.expr) -> Iterator[str]:
        """The texts that an expression may have; none if they come from elsewhere."""
        if isinstance(node, ast.IfExp):
            yield from self._texts(node.body)
            yield from self._texts(node.orelse)
        elif isinstance(node, ast.Name):
            values = [one.value for one in _assignments(self.scopes[-1:], node.id)]
            texts = [_text(value) for value in values] or [self.constants.get(node.id)]
            yield from filter(None, texts)
        elif (text := _text(node)) is not None:
            yield text


@cache
def messages() -> Messages:
    """All messages of the package."""
    modules = (BUILD, *PACKAGE.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules}
    errors = frozenset(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(map(_is_error, node.bases))
    )
    constants = {
        _name(_target(node)): text
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.Assign) and (text := _text(node.value))
    }
    found = Messages()
    for path, tree in trees.items():
        module = path.relative_to(PACKAGE if path != BUILD else ROOT).as_posix()
        _Finder(module, errors, constants, found).visit(tree)
    return found


def _is_error(base: ast.expr) -> bool:
    return _name(base).endswith(("Error", "Exception"))


def _assignments(scopes: Iterable[ast.AST], name: str) -> Iterator[ast.Assign]:
    for scope in scopes:
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and _name(_target(node)) == name:
                yield node


def _sentences(node: ast.AST) -> Iterator[str]:
    """The sentences in a function, class or assignment, without its docstring."""
    docstring = ast.get_docstring(node, clean=False) if hasattr(node, "body") else None  # type: ignore[arg-type]
    inside = {
        id(part)
        for one in ast.walk(node)
        if isinstance(one, ast.JoinedStr)
        for part in ast.walk(one)
        if part is not one
    }
    for one in ast.walk(node):
        text = None if id(one) in inside else _text(one)
        if text and text != docstring and _SENTENCE.fullmatch(text):
            yield text.strip()


def _target(node: ast.AST) -> ast.expr | None:
    """The name that an assignment gives."""
    if isinstance(node, ast.Assign):
        return node.targets[0]
    return node.target if isinstance(node, ast.AnnAssign) else None


def _name(node: ast.expr | None) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _text(node: ast.AST) -> str | None:
    """The text of a literal, with ``…`` for values; None for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "…" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _FORMAT.sub("…", node.value)
    return None
