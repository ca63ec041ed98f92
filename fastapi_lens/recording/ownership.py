"""One lens for each application and process, whichever middleware is asked. Records nothing.

An agent may build the middleware stack of a running application anew, and a factory may add the
middleware twice. The application itself holds, weakly, the lens that records it.
"""

import logging
import weakref
from typing import Any, Protocol, TypeVar

logger = logging.getLogger("fastapi_lens")

_KEPT = "_fastapi_lens"
"""In ``app.state``."""


class _Routes(Protocol):
    @property
    def app(self) -> Any: ...


class Owned(Protocol):
    """What is asked of a lens here.

    Attributes:
        told: Sentences that were logged.
    """

    started: bool
    told: set[str]

    @property
    def routes(self) -> _Routes:
        """The routes of its application."""
        ...


AnyLens = TypeVar("AnyLens", bound=Owned)


def owner(app: Any, lens: AnyLens) -> AnyLens:
    """The lens that records an application already, else this one, which is to do so.

    Args:
        app: The application; one that has no ``state`` knows of no other lens.
        lens: Of the middleware that asks.
    """
    state = getattr(app, "state", None)
    if state is None:
        return lens
    kept: weakref.ref[AnyLens] | None = getattr(state, _KEPT, None)
    found = None if kept is None else kept()
    # A copy of the application has the same reference, but is another application.
    if found is not None and found.started and found.routes.app is app:
        return found
    setattr(state, _KEPT, weakref.ref(lens))
    return lens


def tell_doubled(outer: Owned, app: Any) -> None:
    """Say once that a middleware counts nothing, because one above it does.

    Args:
        outer: The lens that counts.
        app: The application that has the middleware below.
    """
    if outer.routes.app in (None, app):
        sentence = (
            "fastapi_lens: LensMiddleware was added to this application more than once. The "
            "outermost, which was added last, counts; the others do nothing, nor are their "
            "settings used. LensMiddleware.setup(app) adds it: remove the second setup(app), or "
            "the app.add_middleware(LensMiddleware) beside it"
        )
    else:
        name = str(getattr(app, "title", None) or type(app).__name__)
        sentence = (
            f"fastapi_lens: the application {name!r} has a LensMiddleware of its own below "
            "another one, which records its endpoints, too. Its own does nothing, nor are its "
            f"settings used: remove it from {name!r}"
        )
    if sentence not in outer.told:
        outer.told.add(sentence)
        logger.warning(sentence)
