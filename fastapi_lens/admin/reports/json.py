"""The JSON reports: parameters, query, JSON. The read side does the work."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.response_cache import Question
from fastapi_lens.reporting.documents.callers_report import CallersReport
from fastapi_lens.reporting.documents.evidence_report import Evidence
from fastapi_lens.reporting.documents.report import DeadReport, Report, TopReport, Verdicts
from fastapi_lens.reporting.model import KEY_DIGITS, Endpoint, Window, id_from_key
from fastapi_lens.settings.status import Status
from fastapi_lens.text.escaping import visible_json

MAX_DAYS = 36_500
MAX_LIMIT = 100
DEFAULT_LIMIT = 10
DEFAULT_TOP_DAYS = 7
EVERYTHING = "all"

Api = Callable[[Context], Question]


@dataclass(frozen=True)
class BadParameterError(Exception):
    """A query parameter has an invalid value; answered with 422 and this sentence."""

    sentence: str


@dataclass(frozen=True)
class NoReportError(Exception):
    """There is no report at this path; answered with 404 and this sentence."""

    sentence: str


def nowhere(context: Context) -> Question:
    """Refuse any other path below the admin, for API clients.

    Raises:
        NoReportError: Always.
    """
    first = context.url("/report")
    others = f"{first}/top, {first}/dead, {first}/evidence and {first}/callers"
    raise NoReportError(f"nothing is here; the reports are {first}, {others}")


def report(context: Context) -> Question:
    """``GET …/report``: all endpoints, or those of one status."""
    days = _days(context, default=None)
    status = _status(context)

    def make() -> Report:
        endpoints, judged = _endpoints(context, days), _judged(context)
        return Report.of(endpoints, days=days, status=status, now=context.now, judged=judged)

    return _asked(("report", days, status), make)


def top(context: Context) -> Question:
    """``GET …/report/top``: the most-called endpoints."""
    limit = _whole_number(context, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    days = _days(context, default=DEFAULT_TOP_DAYS, all_allowed=True)

    def make() -> TopReport:
        endpoints, judged = _endpoints(context, days), _judged(context)
        return TopReport.of(endpoints, days=days, limit=limit, now=context.now, judged=judged)

    return _asked(("top", days, limit), make)


def dead(context: Context) -> Question:
    """``GET …/report/dead``: endpoints that are dead or were never called."""
    days = _days(context, default=None)

    def make() -> DeadReport:
        endpoints, judged = _endpoints(context, days), _judged(context)
        return DeadReport.of(endpoints, now=context.now, judged=judged)

    return _asked(("dead", days), make)


def evidence(context: Context) -> Question:
    """``GET …/report/evidence``: all endpoints with their verdicts, and what these are made of."""
    lens = context.lens

    def make() -> Evidence:
        found = lens.reader.evidence(context.now)
        return Evidence.of(
            found,
            lens.reader.callers.of_judged(found.every),
            app=lens.app_name,
            now=context.now,
            environment=lens.config.environment,
        )

    return _asked(("evidence report",), make)


def callers(context: Context) -> Question:
    """``GET …/report/callers``: the callers of all endpoints, or of one."""
    reader, key = context.lens.reader, context.request.query_params.get("endpoint")
    if key is not None and id_from_key(key) < 0:
        raise BadParameterError(f"endpoint must be the key of one, {KEY_DIGITS} digits of a report")

    def make() -> CallersReport:
        found = reader.callers.uses(key)
        if found is None:
            raise NoReportError(f"there is no endpoint {key}")
        return CallersReport.of(
            found,
            endpoint=key,
            now=context.now,
            is_recording=context.lens.settings.config.caller_source != "off",
        )

    return _asked(("callers report", key), make)


def refused(sentence: str, *, status: int) -> Response:
    """An error in the format of all reports."""
    return JSONResponse({"detail": sentence}, status)


def _endpoints(context: Context, days: int | None) -> list[Endpoint]:
    return context.lens.reader.endpoints(window=Window.of_days(days), now=context.now)


def _judged(context: Context) -> Verdicts:
    return context.lens.reader.evidence(context.now).by_id()


def _asked(question: Hashable, make: Callable[[], BaseModel]) -> Question:
    return Question(question, lambda: visible_json(make().model_dump_json()).encode())


def _days(context: Context, *, default: int | None, all_allowed: bool = False) -> int | None:
    if all_allowed and context.request.query_params.get("days") == EVERYTHING:
        return None
    if "days" not in context.request.query_params:
        return default
    return _whole_number(context, "days", 0, MAX_DAYS)


def _whole_number(context: Context, name: str, default: int, largest: int) -> int:
    text = context.request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(largest)):
        number = int(text)
        if 1 <= number <= largest:
            return number
    raise BadParameterError(f"{name} must be a whole number from 1 to {largest}")


def _status(context: Context) -> Status | None:
    text = context.request.query_params.get("status")
    if text is None:
        return None
    if text not in list(Status):
        raise BadParameterError(f"status must be one of {', '.join(Status)}")
    return Status(text)
