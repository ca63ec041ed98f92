"""What the objects of this package cost the host's garbage collector, and how to spare it that.

CPython's collector visits every object of its oldest generation at each full collection. What
this package imports, SQLAlchemy above all, are some 55,000 objects that live for ever: as many
as FastAPI itself brings. Visiting them in vain costs a busy host several per cent of its requests
per second, far more than counting the requests does.
"""

import gc
from functools import cache
from itertools import count


@cache
def starts() -> "count[int]":
    """Counts the starts of lenses in this process, and in what it was forked from."""
    return count()


def freeze_once(*, collect: bool) -> None:
    """Take the objects alive now out of the collector's rounds; at the first start alone.

    They are still freed when the last reference to them goes; only a cycle of them that loses
    its last reference later stays in memory. Once, so that a process that makes many
    applications, as test suites do, keeps at most one of them. A forked child keeps what its
    parent did.

    Args:
        collect: Run a full collection before, some 0.1 s, so that no garbage is kept.
    """
    if next(starts()) == 0:
        if collect:
            gc.collect()
        gc.freeze()
