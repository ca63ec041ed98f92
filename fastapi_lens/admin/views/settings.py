"""Settings: forms, who records, what recording costs, and what the database comes to."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import rendering
from fastapi_lens.admin.visit import Visit
from fastapi_lens.reporting.model import WorkerState
from fastapi_lens.reporting.settings import RETENTION, THRESHOLDS

STATE_CLASSES = {
    WorkerState.RUNNING: "active",
    WorkerState.SILENT: "cold",
    WorkerState.ENDED: "never_called",
    WorkerState.KILLED: "dead",
}
"""The dots of the endpoints' statuses mean the same here."""


LABELS = {
    RETENTION: {"ttl_days": "Keep counts for so many days; empty keeps each tier's own time"},
    THRESHOLDS: {
        "cold_threshold_days": "Cold after so many days without a call",
        "dead_threshold_days": "Dead after so many days without a call",
        "slow_threshold_ms": "Slow above a p95 of so many ms",
    },
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a section was not saved, and what was typed.

    Attributes:
        field: The setting that is wrong; empty where it is none of them.
    """

    section: str
    typed: Mapping[str, str]
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Field:
    """One setting in a form."""

    name: str
    label: str
    value: str
    code: str
    differs: bool


def settings_page(visit: Visit, problem: Problem | None = None, status: int = 200) -> Response:
    """``GET /settings``: the page or its fragment; after a form that was wrong, with it."""
    context = {
        **_now(visit),
        "may_change": visit.may_change,
        "csrf_token": visit.csrf_token,
        "forms": [(name, _fields(visit, name, problem)) for name in LABELS],
        "versions": visit.lens.settings.versions,
        "unusable": visit.lens.settings.unusable,
        "problem": problem,
        "saved": visit.request.query_params.get("saved") in LABELS,
    }
    response = rendering.page(visit, "settings.html", context, headers=_headers(visit))
    response.status_code = status
    return response


def now_page(visit: Visit) -> Response:
    """``GET /settings/now``: what changes by itself, apart from the forms that people fill in."""
    if not rendering.wants_fragment(visit.request):
        return RedirectResponse(visit.url("/settings"), 303)
    return rendering.page(visit, "settings_now.html", _now(visit), headers=_headers(visit))


def _headers(visit: Visit) -> dict[str, str]:
    return {"HX-Push-Url": "false"} if rendering.wants_fragment(visit.request) else {}


def _fields(visit: Visit, section: str, problem: Problem | None) -> list[Field]:
    typed: Mapping[str, str] = {}
    if problem and problem.section == section:
        typed = problem.typed
    fields: list[Field] = []
    for name, label in LABELS[section].items():
        value, code = visit.lens.settings.value(name), getattr(visit.lens.config, name)
        shown = typed.get(name, _text(value))
        fields.append(Field(name, label, shown, _text(code) or "nothing", value != code))
    return fields


def _text(value: object) -> str:
    return "" if value is None else f"{value:.15g}"


def _now(visit: Visit) -> dict[str, object]:
    workers = visit.lens.reader.workers(visit.now)
    return {
        "current": "Settings",
        "heading": "Settings",
        "address": visit.url("/settings/now"),
        "workers": workers,
        "running": sum(worker.state is WorkerState.RUNNING for worker in workers),
        "some_killed": any(worker.state is WorkerState.KILLED for worker in workers),
        "some_clock_off": any(worker.clock_is_off for worker in workers),
        "state_classes": STATE_CLASSES,
        "forecast": visit.lens.forecaster.forecast(visit.now),
        "ttl_days": visit.lens.retention.ttl_days,
    }
