"""Settings that may change while the app runs: what is stored, over what the code says.

Pure: no I/O, no clock. What is stored was checked when it was saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi_lens.config import LensConfig
from fastapi_lens.log_settings import LogSettings
from fastapi_lens.reporting.status import Thresholds
from fastapi_lens.storage.settings import Stored

RETENTION = "retention"
THRESHOLDS = "thresholds"
RECORDING = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is in force now.

    Attributes:
        ttl_days: Days that counts are kept at most; None keeps the tiers' own retention.
        thresholds: When an endpoint is cold, and dead.
        slow_threshold_ms: Milliseconds above which a p95 is marked as slow.
        log: What the request log keeps.
        versions: Of each stored section; what is in force changes only together with them.
    """

    ttl_days: int | None
    thresholds: Thresholds
    slow_threshold_ms: float
    log: LogSettings
    versions: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)

    @classmethod
    def of(cls, config: LensConfig, stored: Mapping[str, Stored] | None = None) -> "Settings":
        """The code's settings, and over them those that are stored."""
        stored = stored or {}
        values: dict[str, Any] = {}
        for section in stored.values():
            values |= section.values
        return cls(
            ttl_days=values.get("ttl_days", config.ttl_days),
            thresholds=Thresholds(
                values.get("cold_threshold_days", config.cold_threshold_days),
                values.get("dead_threshold_days", config.dead_threshold_days),
            ),
            slow_threshold_ms=values.get("slow_threshold_ms", config.slow_threshold_ms),
            log=LogSettings.of({**vars(config), **values}),
            versions={name: section.version for name, section in stored.items()},
        )
