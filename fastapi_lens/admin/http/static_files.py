"""Files of the package: their folders, and static files as responses. Renders no templates."""

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
"""The folder inside ``templates`` and ``static``, so that no file of the host matches."""

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)

# No part begins with a dot, so no name leads out of the folder.
_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]*(/[a-zA-Z0-9_-][a-zA-Z0-9_.-]*)*")
# The address changes with the content, see `static_url`.
_FOREVER = "public, max-age=31536000, immutable"
_HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file.

    Attributes:
        digest: Hash of its content, which changes its address with its content.
        packed: The body compressed with gzip.
    """

    body: bytes
    packed: bytes
    media_type: str
    digest: str


def folder(kind: str) -> Path:
    """The folder of the built-in ``templates`` or ``static`` files.

    It is inside an installed package, and beside the package in a checkout.

    Raises:
        RuntimeError: There is no such folder, because the package was not built by its build file.
    """
    package = Path(__file__).parents[2]
    for parent in (package, package.parent):
        found = parent / kind / FOLDER
        if found.is_dir():
            return found
    raise RuntimeError(f"fastapi_lens was installed without its {kind}; build it with hatchling")


def asset(name: str) -> Asset | None:
    """A static file by its name below ``static/fastapi_lens/``; None if it does not exist."""
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
        name: Name below ``static/fastapi_lens/``.

    Raises:
        LookupError: There is no such file.
    """
    found = asset(name)
    if found is None:
        raise LookupError(f"fastapi_lens has no static file {name!r}; was htmx built in?")
    return f"{base}/static/{name}?v={found.digest}"


def static_response(name: str, headers: Mapping[str, str]) -> Response:
    """A static file, 304 if the client has it, or 404.

    Args:
        name: Name below ``static/fastapi_lens/``, as the client sent it.
        headers: Headers of the request.
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
    # A client may send several tags, or a weak one: proxies that compress weaken it.
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
        # Without the time, so that all workers send the same bytes under the same tag.
        packed=gzip.compress(body, mtime=0),
        media_type=MEDIA_TYPES[path.suffix],
        digest=hashlib.sha256(body).hexdigest()[:_HASH_DIGITS],
    )
