"""Judged endpoints made from a history alone, without a database."""

from typing import Any

from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.verdict import verdict_of

_DAY_SECONDS = 86_400


def judge(
    history: History, method: str = "GET", path: str = "/a", *, source: str = "", **facts: Any
) -> Judged:
    """An endpoint with this history.

    Args:
        history: Its history.
        method: Its method.
        path: Its path template.
        source: File and line of its handler.
        facts: Further fields of `Judged`.
    """
    last = max(history.days, default=history.last_used)
    endpoint = Endpoint(
        id=abs(hash((method, path))) >> 1,
        method=method,
        path=path,
        kind="http",
        name="",
        source=source,
        summary="",
        tags=(),
        deprecated=False,
        first_seen_at=float(history.present_since * _DAY_SECONDS),
        first_called_at=None,
        last_called_at=None,
        total_calls=0,
        status=Status.NEVER_CALLED,
        usage=Usage(),
    )
    known = {
        "endpoint": endpoint,
        "shape": path,
        "ids": (endpoint.id,),
        "verdict": verdict_of(history),
        "history": history,
        "is_read": True,
        "present_since": endpoint.first_seen_at,
        "last_used_at": None if last is None else float(last * _DAY_SECONDS),
    }
    return Judged(**{**known, **facts})
