"""Checks of an application's use of the lens, logged at its start.

Inspects routes and environment variables. Changes and records nothing.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fastapi_lens.admin.router import is_admin, prefix_of
from fastapi_lens.config.environment import ENV_PREFIX, env_name
from fastapi_lens.config.lens_config import REMOVED, SETTINGS
from fastapi_lens.recording.routes.route_lookup import reached_at, sample_path
from fastapi_lens.recording.routes.route_tree import leaves_of

logger = logging.getLogger("fastapi_lens")

_OF_A_SERVICE = re.compile(
    r"(FASTAPI_)?LENS(_[A-Z0-9_]+)?_"
    r"(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""Variables that Kubernetes sets for a service named lens, lens-db and the like."""

_PREFIXES = (ENV_PREFIX, f"FASTAPI_{ENV_PREFIX}")
_PAGES = ("/", "/report", "/login")
"""Paths below the admin; a route of the host may hide only one of them."""


def findings(app: Any, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Sentences about an application's use of the lens.

    Args:
        app: The application whose endpoints are recorded.
        environment: The environment variables; their values are never read.
    """
    yield from misspelt(environment)
    yield from unreachable(app)


def misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """Sentences about variables whose names look like settings and are none."""
    known = [env_name(setting) for setting in SETTINGS]
    removed = {env_name(setting): fix for setting, fix in REMOVED.items()}
    for name in sorted(environment):
        if name in known or not name.upper().startswith(_PREFIXES):
            continue
        if _OF_A_SERVICE.fullmatch(name):
            continue
        meant = name.upper().removeprefix("FASTAPI_")
        if meant in removed:
            yield f"the environment variable {name!a} is ignored: the setting {removed[meant]}"
            continue
        close = _close_to(meant, known)
        hint = f"; did you mean {close}?" if close else ", and is ignored"
        # In ASCII, because a name may have bytes that no log can encode.
        yield f"the environment variable {name!a} is not a setting of the lens{hint}"


def _close_to(name: str, known: Sequence[str]) -> str:
    """The known variable that a name most likely means; empty if none is close."""
    # Without the prefix, which makes any two short names look alike.
    rest = name.removeprefix(ENV_PREFIX)
    others = [one.removeprefix(ENV_PREFIX) for one in known]
    # A part of one: LENS_KEY for LENS_REPORT_KEY.
    parts = [one for one in others if one.endswith(f"_{rest}")]
    close = get_close_matches(rest, others, n=1) or parts
    return ENV_PREFIX + close[0] if close else ""


def admin_paths(app: Any) -> list[str]:
    """The paths of the admin in an application, as its routes match them."""
    found = [leaf.pattern for leaf in leaves_of(app) if is_admin(leaf.endpoint)]
    return [sample_path(prefix_of(pattern)) for pattern in found]


def unreachable(app: Any) -> Iterator[str]:
    """The reasons why the admin is unreachable, if it is."""
    if getattr(app, "routes", None) is None:
        return  # Nothing is known about an application of another kind.
    places = dict.fromkeys(admin_paths(app))
    if not places:
        yield (
            "calls are recorded, but the admin that shows them is on no route: add "
            "app.include_router(lens_admin), or use LensMiddleware.setup(app, config)"
        )
    for place in places:
        hidden = next(filter(None, (_hidden(app, place + page) for page in _PAGES)), None)
        if hidden is not None:
            path, name = hidden
            yield (
                f"the admin at {place}/ is hidden, at least in part: {path} is answered by {name}, "
                "which comes before it. Routes are asked in the order in which they were added: "
                "include the admin, or call LensMiddleware.setup(), before that route"
            )


def _hidden(app: Any, path: str) -> tuple[str, str] | None:
    """A path of the admin, and the name of the route that answers there instead of the admin."""
    found = reached_at(app, path)
    if not found or any(is_admin(one.endpoint) for one in found):
        return None
    return path, found[0].name


def leaves_out(app: Any, path: str) -> bool:
    """True if an application has the admin, but no route for another path of the reports.

    If a route of the host matches that path, the path belongs to the host.
    """
    return bool(admin_paths(app)) and not reached_at(app, path)
