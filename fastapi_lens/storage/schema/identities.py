"""Ids of rows: hashes of what a row is about, so that no id is allocated and no process waits."""

import hashlib
from functools import lru_cache

from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.text.path_shapes import shape_of


def identity_of(*parts: object) -> int:
    """The first 63 bits of the SHA-256 of texts and numbers in order, as a database stores them."""
    # Stored texts contain no null character, so different parts give different texts.
    text = "\0".join(storable(str(part)) for part in parts)
    # Shifted, because a BIGINT is signed.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


# Each sum of each flush asks for it.
@lru_cache(maxsize=16_384)
def endpoint_id(app: str, method: str, path: str) -> int:
    """The id of one method on one path template of an app."""
    return identity_of(app, method, path)


def shape_id(app: str, method: str, path: str) -> int:
    """The id that endpoints share if only the names of their path parameters differ."""
    return identity_of(app, method, shape_of(path))


def caller_id(app: str, kind: CallerKind, name: str) -> int:
    """The id of a caller of an app; never 0, which stands for all others.

    Args:
        app: Name of the app.
        kind: The source of the name.
        name: Its name; of a key its keyed hash.
    """
    return identity_of(app, kind.value, name) or 1


def release_id(app: str, name: str) -> int:
    """The id of a release of an app; workers that name no release share an empty name."""
    return identity_of(app, name)


def dropped_id(app: str) -> int:
    """The id under which `lens_observed` holds the hours in which calls of an app got lost."""
    return identity_of("dropped", app)
