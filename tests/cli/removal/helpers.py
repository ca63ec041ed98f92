"""Evidence as production gives it, with chosen endpoints."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi_lens.verdict.level import Level

HOUR = 3_600.0
DAY = 86_400.0
MISSING: Any = object()


def endpoint(name: str = "POST /v1/exports", verdict: str = Level.IN_USE, **changes: Any) -> Any:
    """One endpoint of evidence; a change to `MISSING` removes a field."""
    method, path = name.split(" ", 1)
    return _changed(
        {
            "key": "00000000000000a1",
            "method": method,
            "path": path,
            "shape": path,
            "source": "shop/exports.py:77",
            "verdict": str(verdict),
            "probably_from": "2026-12-21",
            "safe_from": "2027-03-09",
            "last_used_at": 1_763_337_600.0,
            "first_seen_at": 1_725_753_600.0,
            "removed_at": None,
            "pattern": "working days",
            "sentences": ["No use for 12 days; all of them were observed."],
            "callers": [],
            "releases": {"introduced": "2024.9.1", "last_called": "2026.11.2", "removed": None},
        },
        changes,
    )


def evidence(*endpoints: Any, **changes: Any) -> dict[str, Any]:
    """A document of evidence, one hour old."""
    return _changed(
        {
            "fastapi_lens_evidence": 1,
            "generated_at": time.time() - HOUR,
            "app": "Orders",
            "environment": "production",
            "releases": ["2026.11.3"],
            "observed": {"since": 1_725_753_600, "days": 803, "hole_days": 9, "holes": []},
            "callers": None,
            "endpoints": [endpoint("GET /orders", Level.IN_USE), *endpoints],
        },
        changes,
    )


def write(file: Path, document: Any) -> Path:
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def _changed(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**document, **changes}
    return {name: value for name, value in merged.items() if value is not MISSING}
