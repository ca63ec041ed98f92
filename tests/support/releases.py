"""Features by FastAPI release: marks for tests that older releases cannot pass.

A mark leaves a test out where the release is older, and nowhere else; `test_compat` holds each of
them to what the installed release really has. With the newest release nothing is left out.
"""

import inspect
from dataclasses import dataclass

import fastapi
import pytest
import starlette
import starlette.responses
from fastapi import FastAPI
from fastapi import routing as fastapi_routing


@dataclass(frozen=True)
class Brought:
    """Something that a release brought.

    Attributes:
        what: The thing, as in "FastAPI 0.138 brought app.frontend".
        by: The project.
        release: The first release that has it.
        installed: The release that is installed.
        there: True when the feature exists, found without looking at the release.
    """

    what: str
    by: str
    release: str
    installed: str
    there: bool

    @property
    def due(self) -> bool:
        """True when the installed release is new enough."""
        return numbers(self.installed) >= numbers(self.release)

    @property
    def mark(self) -> pytest.MarkDecorator:
        reason = f"{self.by} {self.release} brought {self.what}"
        return pytest.mark.skipif(not self.due, reason=reason)


def numbers(release: str) -> tuple[int, ...]:
    """``0.137.2`` as (0, 137, 2)."""
    return tuple(int(part) for part in release.split(".")[:3])


def _by_fastapi(release: str, what: str, *, there: bool) -> Brought:
    return Brought(what, "FastAPI", release, fastapi.__version__, there)


def _by_starlette(release: str, what: str, *, there: bool) -> Brought:
    return Brought(what, "Starlette", release, starlette.__version__, there)


LAZY = _by_fastapi(
    "0.137.0",
    "lazy include_router, which includes mounts, too",
    there=hasattr(fastapi_routing, "_IncludedRouter"),
)
FRONTEND = _by_fastapi("0.138.0", "app.frontend", there=hasattr(FastAPI, "frontend"))
TELEMETRY = _by_fastapi(
    "0.142.0", "telemetry of its own", there="telemetry" in inspect.signature(FastAPI).parameters
)
BODY_LIMIT = _by_fastapi(
    "0.164.0",
    "limits on bodies",
    there="max_body_size" in inspect.signature(FastAPI.include_router).parameters,
)
BROKEN_OFF = _by_starlette(
    "0.42.0",
    "ClientDisconnect where a client breaks off a stream",
    there=hasattr(starlette.responses, "ClientDisconnect"),
)
ALL = (LAZY, FRONTEND, TELEMETRY, BODY_LIMIT, BROKEN_OFF)

needs_included_mounts = LAZY.mark
needs_frontend = FRONTEND.mark
needs_telemetry = TELEMETRY.mark
needs_body_limit = BODY_LIMIT.mark
needs_client_disconnect = BROKEN_OFF.mark
