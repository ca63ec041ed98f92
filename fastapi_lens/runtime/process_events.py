"""Hooks that the interpreter calls at a fork and at its end. Knows nothing about their purpose.

Hooks cannot be unregistered, so they refer to methods weakly: a deleted object is not called.
"""

import atexit
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.util import Finalize
from weakref import WeakMethod

Method = Callable[[], None]
"""A method bound to an object."""


def at_fork(*, before: Method, in_parent: Method, in_child: Method) -> None:
    """Call methods around each fork of this process, by ``os.fork`` and all code that uses it."""
    if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork.
        os.register_at_fork(
            before=_weak(before), after_in_parent=_weak(in_parent), after_in_child=_weak(in_child)
        )


def at_end(method: Method) -> None:
    """Call a method when the interpreter ends, for servers that do not announce their shutdown."""
    atexit.register(_weak(method))


def at_end_of_child(method: Method) -> None:
    """Call a method when a multiprocessing child ends; do nothing in any other process.

    A forked child ends without atexit, and drops the parent's registrations when it starts.
    """
    if multiprocessing.parent_process() is not None:
        # With a priority: at the end, multiprocessing skips finalizers that have none.
        Finalize(None, _weak(method), exitpriority=0)


def _weak(method: Method) -> Method:
    weak = WeakMethod(method)

    def call() -> None:
        found = weak()
        if found is not None:
            found()

    return call
