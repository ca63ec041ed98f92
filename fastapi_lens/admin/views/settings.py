"""Settings: for now who records, what recording costs, and what the database comes to."""

from starlette.responses import Response

from fastapi_lens.admin import rendering
from fastapi_lens.admin.visit import Visit
from fastapi_lens.reporting.model import WorkerState

STATE_CLASSES = {
    WorkerState.RUNNING: "active",
    WorkerState.SILENT: "cold",
    WorkerState.ENDED: "never_called",
    WorkerState.KILLED: "dead",
}
"""The dots of the endpoints' statuses mean the same here."""


def settings_page(visit: Visit) -> Response:
    """``GET /settings``: the page or its fragment."""
    workers = visit.lens.reader.workers(visit.now)
    headers = {"HX-Push-Url": "false"} if rendering.wants_fragment(visit.request) else {}
    context = {
        "current": "Settings",
        "heading": "Settings",
        "address": visit.url("/settings"),
        "workers": workers,
        "running": sum(worker.state is WorkerState.RUNNING for worker in workers),
        "some_killed": any(worker.state is WorkerState.KILLED for worker in workers),
        "some_clock_off": any(worker.clock_is_off for worker in workers),
        "state_classes": STATE_CLASSES,
        "forecast": visit.lens.forecaster.forecast(visit.now),
        "ttl_days": visit.lens.retention.ttl_days,
    }
    return rendering.page(visit, "settings.html", context, headers=headers)
