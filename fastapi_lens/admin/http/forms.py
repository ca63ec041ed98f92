"""Forms out of requests, as far as they are of a sensible size. Knows no pages."""

from urllib.parse import parse_qs

from starlette.requests import Request

MAX_FORM_BYTES = 16_384
_MAX_FIELDS = 32


async def read_form(request: Request) -> dict[str, str] | None:
    """The first value of each field of an URL-encoded form; None when it is too large."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                return None
    except RuntimeError:
        return await _read_before(request)
    try:
        fields = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
        )
    except ValueError:  # Too many fields.
        return None
    return {name: values[0] for name, values in fields.items()}


async def _read_before(request: Request) -> dict[str, str]:
    """The form that a dependency of the host has already read; empty if it was not cached."""
    try:
        form = await request.form()
    except RuntimeError:
        return {}
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, value)
    return fields
