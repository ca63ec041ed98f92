"""The lens without its request log: its own middleware, less the statement that asks the log.

Everything else of the request's path is byte for byte the same, so that what the two differ by
is what the log costs a request that it does not keep.
"""

import __future__

import ast
import inspect
import textwrap
from types import FunctionType
from typing import Any

TAKES = "recorder.log.take"
"""Call of the statement to leave out."""


class _Less(ast.NodeTransformer):
    """Leaves out each ``if`` that does nothing but call `TAKES`."""

    def __init__(self) -> None:
        self.left_out = 0

    def visit_If(self, node: ast.If) -> ast.If | None:
        match node.body:
            case [ast.Expr(ast.Call(func=called))] if ast.unparse(called) == TAKES:
                self.left_out += 1
                return None
        self.generic_visit(node)
        return node


def unlogged(middleware: type[Any]) -> type[Any]:
    """A subclass whose ``__call__`` never asks the request log.

    Args:
        middleware: ``LensMiddleware``, or what has the ``__call__`` of one.

    Raises:
        AssertionError: The method does not ask the log in exactly one place: what is measured
            then is not what the log costs.
    """
    original = middleware.__call__
    assert isinstance(original, FunctionType)
    tree = ast.parse(textwrap.dedent(inspect.getsource(original)))
    less = _Less()
    less.visit(tree)
    assert less.left_out == 1, f"{original.__qualname__} asks the log {less.left_out} times"
    made: dict[str, Any] = {}
    # Annotations that its module does not evaluate are not evaluated here either.
    flags = original.__code__.co_flags & __future__.annotations.compiler_flag
    code = compile(tree, original.__code__.co_filename, "exec", flags=flags)
    exec(code, original.__globals__, made)  # noqa: S102  Its own source.
    return type("Unlogged", (middleware,), {"__call__": made["__call__"]})
