"""One lens per application and process, whichever middleware is called. Records nothing.

An agent may rebuild the middleware stack of a running application, and a factory may add the
middleware twice. The host is not touched: its application and its state may take no attribute.
"""

import logging
import weakref
from typing import Any, Protocol, TypeVar

logger = logging.getLogger("fastapi_lens")

_lenses: "weakref.WeakKeyDictionary[Any, weakref.ref[Any]]" = weakref.WeakKeyDictionary()
"""The lens of each application of this process. The only place that two middlewares share."""


class _Routes(Protocol):
    @property
    def app(self) -> Any: ...


class Owned(Protocol):
    """The part of a lens that this module uses.

    Attributes:
        logged: Sentences that were already logged.
    """

    started: bool
    logged: set[str]

    @property
    def routes(self) -> _Routes:
        """The routes of its application."""
        ...


AnyLens = TypeVar("AnyLens", bound=Owned)


def owner(app: Any, lens: AnyLens) -> AnyLens:
    """The lens that already records an application; otherwise the given one, which then does.

    Args:
        app: The application; one that cannot be hashed or referred to weakly has no other lens.
        lens: The lens of the calling middleware.
    """
    try:
        kept: weakref.ref[AnyLens] | None = _lenses.get(app)
        found = None if kept is None else kept()
        # An application that is equal to another one is still a different one.
        if found is not None and found.started and found.routes.app is app:
            return found
        _lenses[app] = weakref.ref(lens)
    except TypeError:
        pass  # Documented above.
    return lens


def warn_of_nested_lens(outer: Owned, app: Any) -> None:
    """Log once that a middleware counts nothing, because an outer one does.

    Args:
        outer: The lens that counts.
        app: The application that has the inner middleware.
    """
    if outer.routes.app in (None, app):
        sentence = (
            "fastapi_lens: LensMiddleware was added to this application more than once. The "
            "outermost, which was added last, counts; the others do nothing, and their settings "
            "are not used. LensMiddleware.setup(app) adds it: remove the second setup(app), or "
            "the app.add_middleware(LensMiddleware) beside it"
        )
    else:
        name = str(getattr(app, "title", None) or type(app).__name__)
        sentence = (
            f"fastapi_lens: the application {name!r} has a LensMiddleware of its own below "
            "another one, which records its endpoints, too. Its own does nothing, and its settings "
            f"are not used: remove it from {name!r}"
        )
    if sentence not in outer.logged:
        outer.logged.add(sentence)
        logger.warning(sentence)
