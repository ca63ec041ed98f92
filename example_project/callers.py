"""Names of the callers of the API, for the lens: its `consumer`."""

from starlette.datastructures import Headers
from starlette.types import Scope

from example_project.clients import SERVICE_HEADER, SERVICES


def caller_of(scope: Scope) -> str | None:
    """The internal service that a request names; None for all other clients.

    The lens tells the others apart by the partners' key and by their User-Agent.
    """
    name = Headers(scope=scope).get(SERVICE_HEADER)
    return name if name in SERVICES else None
