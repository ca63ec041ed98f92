"""LogSettings: what the request log keeps, checked. Pure; knows neither LensConfig nor rows."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from fastapi_lens.errors import ConfigError

MOST_ROWS = 1_000_000
MOST_PER_MINUTE = 10_000


class Clients(StrEnum):
    """What is kept of the address that a request came from."""

    OFF = "off"
    MASKED = "masked"
    HASHED = "hashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What the request log keeps. The names are those of the fields of LensConfig.

    Attributes:
        log_sample_rate: Share of all requests that is kept, from 0 to 1.
        log_errors_per_minute: Server errors that each worker keeps in a minute at most.
        log_slowest: Requests that each worker keeps in a minute because they were slow.
        log_max_rows: Requests of an app that are kept, and kinds of exceptions; the oldest go.
        log_query_values: Whether the values of the query are kept, not its keys alone.
        log_clients: What is kept of the address of the client.

    Raises:
        ConfigError: A value cannot work; it names the field and the fix.
    """

    log_sample_rate: float
    log_errors_per_minute: int
    log_slowest: int
    log_max_rows: int
    log_query_values: bool
    log_clients: Clients

    @classmethod
    def of(cls, values: dict[str, Any]) -> "LogSettings":
        """Those among other values, by name of the setting."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def __post_init__(self) -> None:
        """Check each of them."""
        if not 0 <= self.log_sample_rate <= 1:
            raise ConfigError(
                "log_sample_rate",
                f"must be a share from 0 (none) to 1 (every request), not {self.log_sample_rate:g}",
            )
        for name, least, most in (
            ("log_errors_per_minute", 0, MOST_PER_MINUTE),
            ("log_slowest", 0, MOST_PER_MINUTE),
            ("log_max_rows", 1, MOST_ROWS),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    name, f"must be from {least} to {most}, not {getattr(self, name)}"
                )
        if self.log_clients not in set(Clients):
            raise ConfigError(
                "log_clients", f"must be off, masked or hashed, not {self.log_clients!r}"
            )
        object.__setattr__(self, "log_clients", Clients(self.log_clients))
