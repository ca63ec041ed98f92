"""Labels of statuses, keys and open connections."""

from fastapi_lens.admin.display import formats
from fastapi_lens.config.keys import SINGLE_KEY
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import Status, Thresholds

STATUS_LABELS = {
    Status.ACTIVE: "Active",
    Status.COLD: "Cold",
    Status.DEAD: "Dead",
    Status.NEVER_CALLED: "Never called",
}


def status_meanings(thresholds: Thresholds) -> dict[Status, str]:
    """A sentence for each status, with the thresholds in use."""
    cold, dead = formats.days(thresholds.cold_days), formats.days(thresholds.dead_days)
    return {
        Status.ACTIVE: f"Called within the last {cold}.",
        Status.COLD: f"No calls for more than {cold}.",
        Status.DEAD: f"No calls for more than {dead}.",
        Status.NEVER_CALLED: "In the application's routes, but never called.",
    }


def actor_label(name: str) -> str:
    """The name of a user for people; the key without a name is the default key."""
    return "default key" if name == SINGLE_KEY else name


def open_words(endpoint: Endpoint, *, now: float) -> str:
    """The open connections of an endpoint and their age, in words; empty if there are none."""
    if endpoint.open_since is None:
        return ""
    return formats.connections(endpoint.open_connections, now - endpoint.open_since)
