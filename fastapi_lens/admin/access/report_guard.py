"""The host's dependencies that guard the admin, and so also reports at a path of their own.

Knows no requests: the admin's own route runs the dependencies.
"""

from typing import Any

from fastapi_lens.recording.routes.route_tree import is_lens, leaves_of, unwrapped_app

UNGUARDED = ""
NO_ADMIN = (
    "this application has dependencies for all of its routes, and only the admin's route can "
    "run them before a report: add app.include_router(lens_admin)"
)


class ReportGuard:
    """Finds the admin that runs the dependencies of an application.

    Args:
        below: The application that the lens wraps.
    """

    def __init__(self, below: Any) -> None:
        """Inspect nothing yet: routes and dependencies are added later."""
        self._below = below
        self._seen: tuple[Any, int] = (None, 0)
        self._found: str | None = UNGUARDED

    def admin_path(self, app: Any) -> str | None:
        """The path of the admin that runs the dependencies.

        Args:
            app: The application of the scope; None if there is none yet.

        Returns:
            `UNGUARDED` if there are no dependencies; ``None`` if there are some but no admin at a
            fixed path to run them.
        """
        app = app or unwrapped_app(self._below)
        # The search takes milliseconds with hundreds of routes.
        seen = (app, len(getattr(app, "routes", ())))
        if seen != self._seen:
            self._found, self._seen = _find(app), seen
        return self._found


def _find(app: Any) -> str | None:
    ours = [leaf for leaf in leaves_of(app) if leaf.guarded and is_lens(leaf.endpoint)]
    if not ours and not getattr(getattr(app, "router", None), "dependencies", ()):
        return UNGUARDED
    # The value of any parameter besides the page's is unknown.
    fixed = [leaf.pattern.partition("{")[0] for leaf in ours if leaf.pattern.count("{") == 1]
    return fixed[0] if fixed else None
