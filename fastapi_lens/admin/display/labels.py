"""Labels of statuses and of open connections."""

from fastapi_lens.admin.display import formats
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import Status

STATUS_LABELS = {
    Status.ACTIVE: "Active",
    Status.COLD: "Cold",
    Status.DEAD: "Dead",
    Status.NEVER_CALLED: "Never called",
}


def open_words(endpoint: Endpoint, *, now: float) -> str:
    """The open connections of an endpoint and their age, in words; empty if there are none."""
    if endpoint.open_since is None:
        return ""
    return formats.connections(endpoint.open_connections, now - endpoint.open_since)
