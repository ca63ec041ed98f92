"""Exposition of all-time counts to a Prometheus server, as text. Pure: no I/O, no clock.

Names and boundaries are those of OpenTelemetry's semantic conventions for HTTP servers. The formats
are OpenMetrics 1.0 and version 0.0.4 of Prometheus' own.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import StrEnum

from fastapi_lens.histogram.histogram import BUCKET_MS
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.storage.engine.yield_gil import yield_gil

BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the buckets in seconds, as OpenTelemetry advises; an infinite one follows.

A duration within `histogram.RELATIVE_ERROR` of a boundary may be counted on its other side.
"""

_REQUESTS = "http_server_requests"
_DURATION = "http_server_request_duration_seconds"
_LABELS_OF_BUCKETS = (*map(str, BOUNDARIES), "+Inf")
# A bucket of ours is on the side of its middle, as a whole: a split could let a count decrease.
_BUCKETS_BEFORE = tuple(bisect_right(BUCKET_MS, seconds * 1_000) for seconds in BOUNDARIES)
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Format(StrEnum):
    """A format of the text, by its media type."""

    OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def exposition(endpoints: Sequence[Endpoint], form: Format) -> str:
    """All series of endpoints, the same number for each, called or not.

    Args:
        endpoints: With their all-time usage and histograms.
        form: The format.
    """
    is_open = form is Format.OPEN_METRICS
    # OpenMetrics leaves the suffix out of the name of a family.
    requests = _REQUESTS if is_open else f"{_REQUESTS}_total"
    lines = [
        f"# TYPE {requests} counter",
        f"# HELP {requests} Calls by endpoint and class of status code.",
    ]
    for one in yield_gil(endpoints):
        lines += _request_lines(one)
    lines.append(f"# TYPE {_DURATION} histogram")
    lines += [f"# UNIT {_DURATION} seconds"] if is_open else []
    lines.append(f"# HELP {_DURATION} Durations of calls by endpoint.")
    for one in yield_gil(endpoints):
        lines += _duration_lines(one)
    lines += ["# EOF", ""] if is_open else [""]
    return "\n".join(lines)


def _request_lines(endpoint: Endpoint) -> Iterator[str]:
    usage, labels = endpoint.usage, _labels(endpoint)
    failed = usage.redirects + usage.errors_4xx + usage.errors_5xx
    # The only successful answer to the handshake of a WebSocket is 101.
    success = "1xx" if endpoint.kind == "websocket" else "2xx"
    by_class = {
        success: max(0, usage.calls - failed),
        "3xx": usage.redirects,
        "4xx": usage.errors_4xx,
        "5xx": usage.errors_5xx,
    }
    for name, calls in by_class.items():
        yield f'{_REQUESTS}_total{{{labels},http_response_status_code="{name}"}} {calls}'


def _duration_lines(endpoint: Endpoint) -> Iterator[str]:
    usage, labels = endpoint.usage, _labels(endpoint)
    for bound, calls in zip(_LABELS_OF_BUCKETS, _up_to_boundaries(usage), strict=True):
        yield f'{_DURATION}_bucket{{{labels},le="{bound}"}} {calls}'
    yield f"{_DURATION}_count{{{labels}}} {usage.calls}"
    yield f"{_DURATION}_sum{{{labels}}} {usage.duration_us / 1_000_000}"


def _labels(endpoint: Endpoint) -> str:
    method, route = (text.translate(_ESCAPES) for text in (endpoint.method, endpoint.path))
    return f'http_request_method="{method}",http_route="{route}"'


def _up_to_boundaries(usage: Usage) -> list[int]:
    """Calls up to each boundary, and all of them."""
    counts = usage.measured.calls_before(_BUCKETS_BEFORE)
    # Rows that were changed by hand may hold more durations than calls.
    return [*(min(calls, usage.calls) for calls in counts), usage.calls]
