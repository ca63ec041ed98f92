"""Forms of requests, read with limits. Knows no pages."""

from collections.abc import AsyncGenerator

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

MAX_FORM_BYTES = 16_384
MAX_FIELDS = 32


class FormTooLargeError(Exception):
    """A form has more than `MAX_FORM_BYTES`; raised while it arrives, caught by `read_form`."""


class _BoundedRequest(Request):
    """A request whose body ends with an error after `MAX_FORM_BYTES`, however it is encoded.

    Starlette limits each field and their number, but not the whole; a body without a
    ``Content-Length`` never has to end. It reads through the other request, which knows whether a
    dependency of the host has read the body already.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)
        self._unbounded = request

    async def stream(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in self._unbounded.stream():
            size += len(chunk)
            if size > MAX_FORM_BYTES:
                raise FormTooLargeError
            yield chunk


async def read_form(request: Request) -> dict[str, str] | None:
    """The first value of each field of a form; files are refused.

    Returns:
        ``None`` for a form that is too large, has too many fields or a file, or cannot be read;
        an empty dictionary for a body that is no form.
    """
    try:
        # A field cannot be larger than the whole, so `max_part_size` is not needed.
        form = await _BoundedRequest(request).form(max_files=0, max_fields=MAX_FIELDS)
    except RuntimeError:  # The stream was consumed.
        return await _read_before(request)
    # Starlette raises HTTPException inside of an application; ValueError is python-multipart's.
    except (FormTooLargeError, HTTPException, MultiPartException, ValueError):
        return None
    # Before 1.3.1, Starlette does not count the fields of a URL-encoded form.
    return _texts(form) if len(form.multi_items()) <= MAX_FIELDS else None


async def _read_before(request: Request) -> dict[str, str]:
    """The form that a dependency of the host has already read; empty if it was not cached."""
    try:
        return _texts(await request.form())
    except RuntimeError:
        return {}


def _texts(form: FormData) -> dict[str, str]:
    """The first text of each field."""
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, value)
    return fields
