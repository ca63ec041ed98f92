"""Responses to errors: a sentence for people or programs, and the number of the log entry."""

import logging
import secrets

from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.errors import ForeignFileError, SchemaTooNewError, StorageError

logger = logging.getLogger("fastapi_lens")


def error_page(request: Request, base: str, error: Exception) -> Response:
    """A page about an error: 503 for the database, else 500.

    Args:
        request: The request.
        base: The admin's own path.
        error: The error, which is logged.
    """
    status = 503 if isinstance(error, StorageError) else 500
    return templates.error_page(
        request, base, status=status, message=_sentence(error), error_id=_logged(error)
    )


def error_sentence(error: Exception) -> str:
    """The sentence about an error for an API client; the error is logged."""
    number = _logged(error)
    if isinstance(error, SchemaTooNewError | ForeignFileError):
        problem = str(error)
    elif isinstance(error, StorageError):
        problem = "the lens could not read its database"
    else:
        problem = "something went wrong while this report was made"
    return f"{problem}; the log has details under error {number}"


def _sentence(error: Exception) -> str:
    if isinstance(error, SchemaTooNewError | ForeignFileError):
        return (
            f"The lens is not recording: {error}. Your application keeps running, and calls are "
            "counted in memory."
        )
    if isinstance(error, StorageError):
        return (
            "The lens cannot reach its database. Your application keeps running, and calls are "
            "counted in memory."
        )
    return "An error occurred while creating this page."


def _logged(error: Exception) -> str:
    """Log an error, those of a database in one line; returns its number in the log."""
    number = secrets.token_hex(4)
    if isinstance(error, StorageError):
        logger.error("fastapi_lens error %s: %s", number, error)
    else:
        logger.error("fastapi_lens error %s", number, exc_info=error)
    return number
