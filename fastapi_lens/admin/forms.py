"""Forms out of requests, as far as they are of a sensible size. Knows no pages."""

from urllib.parse import parse_qs

from starlette.requests import Request

MAX_FORM_BYTES = 16_384
_MAX_FIELDS = 32


async def read_form(request: Request) -> dict[str, str] | None:
    """The first value of each field of an URL-encoded form; None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return None
    try:
        fields = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
        )
    except ValueError:  # Too many fields.
        return None
    return {name: values[0] for name, values in fields.items()}
