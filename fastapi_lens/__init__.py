"""fastapi_lens: usage, latency and errors of the endpoints of a FastAPI application."""

import logging

from fastapi_lens.admin.router import create_lens_admin
from fastapi_lens.alembic import include_name
from fastapi_lens.config.authorize import Access
from fastapi_lens.config.keys import KeyConfig, Scope
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.distributions import warn_of_conflict
from fastapi_lens.errors import ConfigError, LensError, SchemaTooNewError, StorageError
from fastapi_lens.middleware import LensMiddleware
from fastapi_lens.reporting.documents.report import DeadReport, EndpointStats, Report, TopReport
from fastapi_lens.text.log_filter import OneLineEach

__version__ = "0.2.0"

# Before the first record: text from a request must not start a line of the host's log.
logging.getLogger("fastapi_lens").addFilter(OneLineEach())

lens_admin = create_lens_admin()

warn_of_conflict()

__all__ = [
    "Access",
    "ConfigError",
    "DeadReport",
    "EndpointStats",
    "KeyConfig",
    "LensConfig",
    "LensError",
    "LensMiddleware",
    "Report",
    "SchemaTooNewError",
    "Scope",
    "StorageError",
    "TopReport",
    "create_lens_admin",
    "include_name",
    "lens_admin",
]
