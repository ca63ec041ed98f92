"""LensMiddleware, which a host application adds. Connects recording, runtime and admin."""

import logging
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_lens.admin.access.report_guard import NO_ADMIN, UNGUARDED, ReportGuard
from fastapi_lens.admin.http.requests import add_security_headers, sanitize_request
from fastapi_lens.admin.reports import json as json_reports
from fastapi_lens.admin.router import DEFAULT_PREFIX, Endpoint, create_lens_admin, json_endpoint
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.recording.middleware import Recording, RecordingMiddleware
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.startup_checks import findings, leaves_out

DEFAULT_REPORT_PATH = DEFAULT_PREFIX + "/report"
logger = logging.getLogger("fastapi_lens")


class LensMiddleware(RecordingMiddleware):
    """Records the calls of an application.

    ``app.add_middleware(LensMiddleware, config=LensConfig(...))``

    Args:
        app: The application below; Starlette passes it.
        config: The settings; None takes them from the environment and the defaults.

    Raises:
        ConfigError: A setting has a value that cannot work.
    """

    def __init__(self, app: ASGIApp, config: LensConfig | None = None) -> None:
        """Start nothing yet; the first lifespan or request does."""
        self._lens = Lens(config or LensConfig())
        super().__init__(app, self._lens)
        path = self._lens.config.report_path
        self._answers_reports = path != DEFAULT_REPORT_PATH
        self._is_checked = False
        if self._answers_reports:
            self.app = ReportPath(app, path)

    @classmethod
    def setup(
        cls, app: FastAPI, config: LensConfig | None = None, *, prefix: str = DEFAULT_PREFIX
    ) -> None:
        """Add the middleware and the admin to an application in one line.

        Call it after the application's own routes: requests to routes that are added later are
        compared with the admin first, which takes FastAPI some microseconds.

        Args:
            app: The application, before it has started.
            config: The settings; None takes them from the environment and the defaults.
            prefix: Where the admin is mounted.

        Raises:
            ConfigError: The prefix, or a setting, has a value that cannot work.
        """
        # Made here, because Starlette creates the middleware only when the app starts.
        app.add_middleware(cls, config=config or LensConfig())
        app.include_router(create_lens_admin(prefix))

    def _begin(self, scope: Scope, *, lifespan: bool = False) -> Recording:
        lens = super()._begin(scope, lifespan=lifespan)
        try:
            if lens is self._lens:  # Otherwise the other lens has logged it all.
                self._say_findings(lens)
            self._answer_reports(lens.routes.app)
        except Exception:
            # The host must start, even if its routes are unusual.
            logger.exception("fastapi_lens could not check how it is used")
        return lens

    def _say_findings(self, lens: Recording) -> None:
        """Log the application's mistakes in using the lens, at its first start."""
        found = [] if self._is_checked else list(findings(lens.routes.app))
        self._is_checked = True
        for sentence in found:
            logger.warning("fastapi_lens: %s", sentence)

    def _answer_reports(self, app: Any) -> None:
        """Answer also at the reports' default path if the admin is elsewhere."""
        path = self._lens.config.report_path
        if not self._answers_reports and leaves_out(app, path):
            self._answers_reports = True
            self.app = ReportPath(self.app, path)


class ReportPath:
    """Answers the JSON reports at a path of their own, before the host's routes.

    Args:
        app: The application below.
        path: Where the report answers; ``/top`` and ``/dead`` lie below it.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        """Make the three endpoints."""
        self.app = app
        self._path = path
        self._guard = ReportGuard(app)
        self._endpoints: dict[str, Endpoint] = {
            path: json_endpoint(json_reports.report, ""),
            f"{path}/top": json_endpoint(json_reports.top, ""),
            f"{path}/dead": json_endpoint(json_reports.dead, ""),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET of a report; pass on all else."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            # ASGI's path contains the root path, which some servers leave out.
            endpoint = self._endpoints.get(scope["path"].removeprefix(root))
            if endpoint is not None and scope["method"] in ("GET", "HEAD"):
                scope["endpoint"] = endpoint  # So that the recorder knows it as the lens's own.
                await self._answer(endpoint, scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _answer(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer here, or let the admin answer after the dependencies that guard it."""
        request = sanitize_request(Request(scope, receive))
        admin = self._guard.admin_path(scope.get("app"))
        if admin == UNGUARDED:
            response = await endpoint(request)
        elif admin is None:
            response = add_security_headers(json_reports.refused(NO_ADMIN, status=403))
        else:
            before, _, after = scope["path"].rpartition(self._path)
            path = f"{before}{admin}/report{after}"
            # A copy, because the server logs the requested path.
            inner = {**scope, "path": path, "raw_path": quote(path).encode()}
            await self.app(inner, receive, send)
            return
        await response(scope, receive, send)
