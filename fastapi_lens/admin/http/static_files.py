"""Files that come with the package: where they lie, and static ones as responses. No templates."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from starlette.responses import Response

from fastapi_lens.admin.http.requests import takes_gzip

FOLDER = "fastapi_lens"
"""The folder inside ``templates`` and ``static`` that keeps anybody else's from matching."""

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)

_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]*(/[a-zA-Z0-9_-][a-zA-Z0-9_.-]*)*")
_FOREVER = "public, max-age=31536000, immutable"
_HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file.

    Attributes:
        digest: Of its content; changes its address whenever it changes.
        packed: The body compressed with gzip.
    """

    body: bytes
    packed: bytes
    media_type: str
    digest: str


def folder(kind: str) -> Path:
    """Where the built-in ``templates`` or ``static`` files lie.

    In an installed package inside of it, in a checkout beside it.

    Raises:
        RuntimeError: Neither is there; the package was not built as its build file says.
    """
    package = Path(__file__).parents[2]
    for parent in (package, package.parent):
        found = parent / kind / FOLDER
        if found.is_dir():
            return found
    raise RuntimeError(f"fastapi_lens was installed without its {kind}; build it with hatchling")


def asset(name: str) -> Asset | None:
    """A static file by its name below ``static/fastapi_lens/``; None when there is none."""
    if not _NAME.fullmatch(name) or Path(name).suffix not in MEDIA_TYPES:
        return None
    path = folder("static") / name
    if not path.is_file():
        return None
    facts = path.stat()
    return _read(path, facts.st_mtime_ns, facts.st_size)


def static_url(base: str, name: str) -> str:
    """The address of a static file, which changes with its content.

    Args:
        base: The admin's own path, without a trailing slash.
        name: Below ``static/fastapi_lens/``.

    Raises:
        LookupError: There is no such file.
    """
    found = asset(name)
    if found is None:
        raise LookupError(f"fastapi_lens has no static file {name!r}; was htmx built in?")
    return f"{base}/static/{name}?v={found.digest}"


def static_response(name: str, headers: Mapping[str, str]) -> Response:
    """A static file for a client that may have it already, or 404.

    Args:
        name: Below ``static/fastapi_lens/``, as the client sent it.
        headers: Of the request.
    """
    found = asset(name)
    if found is None:
        return Response("Not found", 404, media_type="text/plain")
    answer = {
        "Cache-Control": _FOREVER,
        "ETag": f'"{found.digest}"',
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if f'"{found.digest}"' in headers.get("if-none-match", ""):
        return Response(status_code=304, headers=answer)
    body = found.body
    if takes_gzip(headers) and len(found.packed) < len(body):
        body = found.packed
        answer["Content-Encoding"] = "gzip"
    return Response(body, headers=answer, media_type=found.media_type)


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int, length: int) -> Asset:  # noqa: ARG001  Part of the key.
    """Read and compress a file once for each of its states on disk."""
    body = path.read_bytes()
    return Asset(
        body=body,
        packed=gzip.compress(body, mtime=0),
        media_type=MEDIA_TYPES[path.suffix],
        digest=hashlib.sha256(body).hexdigest()[:_HASH_DIGITS],
    )
