"""One lens per application and process, whichever middleware is called. Records nothing.

An agent may rebuild the middleware stack of a running application, and a factory may add the
middleware twice. The application itself holds a weak reference to the lens that records it.
"""

import logging
import weakref
from typing import Any, Protocol, TypeVar

logger = logging.getLogger("fastapi_lens")

_KEPT = "_fastapi_lens"
"""Name of the attribute of ``app.state``."""


class _Routes(Protocol):
    @property
    def app(self) -> Any: ...


class Owned(Protocol):
    """The part of a lens that this module uses.

    Attributes:
        told: Sentences that were already logged.
    """

    started: bool
    told: set[str]

    @property
    def routes(self) -> _Routes:
        """The routes of its application."""
        ...


AnyLens = TypeVar("AnyLens", bound=Owned)


def owner(app: Any, lens: AnyLens) -> AnyLens:
    """The lens that already records an application; otherwise the given one, which then does.

    Args:
        app: The application; without a ``state`` it can hold no other lens.
        lens: The lens of the calling middleware.
    """
    state = getattr(app, "state", None)
    if state is None:
        return lens
    kept: weakref.ref[AnyLens] | None = getattr(state, _KEPT, None)
    found = None if kept is None else kept()
    # A copy of an application has the same reference, but is a different application.
    if found is not None and found.started and found.routes.app is app:
        return found
    setattr(state, _KEPT, weakref.ref(lens))
    return lens


def tell_doubled(outer: Owned, app: Any) -> None:
    """Log once that a middleware counts nothing, because an outer one does.

    Args:
        outer: The lens that counts.
        app: The application that has the inner middleware.
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
