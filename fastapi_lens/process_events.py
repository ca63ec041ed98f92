"""What the interpreter calls at a fork and at its end. Knows nothing of what is done then.

Its lists cannot be shortened, so they hold methods weakly: an object that is gone is not called.
"""

import atexit
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.util import Finalize
from weakref import WeakMethod

Method = Callable[[], None]
"""Bound to an object."""


def at_fork(*, before: Method, in_parent: Method, in_child: Method) -> None:
    """Call methods around each fork of this process, by ``os.fork`` and by all that use it."""
    if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows knows no fork.
        os.register_at_fork(
            before=_weak(before), after_in_parent=_weak(in_parent), after_in_child=_weak(in_child)
        )


def at_end(method: Method) -> None:
    """Call a method at the interpreter's end, for servers that announce none."""
    atexit.register(_weak(method))


def at_end_of_child(method: Method) -> None:
    """Call a method at the end of a child of multiprocessing; nothing in another process.

    A forked one ends without atexit, and forgets at its start what its parent has registered.
    """
    if multiprocessing.parent_process() is not None:
        Finalize(None, _weak(method), exitpriority=0)


def _weak(method: Method) -> Method:
    weak = WeakMethod(method)

    def call() -> None:
        found = weak()
        if found is not None:
            found()

    return call
