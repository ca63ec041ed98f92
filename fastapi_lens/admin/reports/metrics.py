"""The metrics for a Prometheus server: negotiation of the format, and the question."""

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.response_cache import Question
from fastapi_lens.reporting.documents.exposition import Format, exposition

_VERSION = {"application/openmetrics-text": "1.0.0", "text/plain": "0.0.4"}
_PLAIN = ("text/plain", "text/*", "*/*")


def metrics(context: Context) -> Question:
    """``GET …/metrics``: all-time counts and durations of all endpoints."""
    form = accepted_format(context.request.headers.get("accept", ""))

    def make() -> bytes:
        return exposition(context.lens.reader.totals(now=context.now), form).encode()

    return Question(("metrics", form), make, media_type=form, vary="Accept, Accept-Encoding")


def accepted_format(accept: str) -> Format:
    """The format that a client prefers; that of Prometheus if it accepts neither.

    Args:
        accept: The value of the Accept header; empty without one.
    """
    weights = {"": 0.0}
    for one in accept.split(","):
        name, weight = _weighed(one)
        weights[name] = max(weight, weights.get(name, 0.0))
    wanted = weights.get("application/openmetrics-text", 0.0)
    other = max(weights.get(name, 0.0) for name in _PLAIN)
    return Format.OPEN_METRICS if 0 < wanted >= other else Format.PROMETHEUS


def _weighed(text: str) -> tuple[str, float]:
    """A media type with its weight; 0 for a version that is not ours, or no number."""
    name, *rest = (part.strip().lower() for part in text.split(";"))
    parameters = {key: value.strip('"') for key, _, value in (one.partition("=") for one in rest)}
    if parameters.get("version", _VERSION.get(name)) != _VERSION.get(name):
        return name, 0.0
    try:
        return name, float(parameters.get("q", "1"))
    except ValueError:
        return name, 0.0
