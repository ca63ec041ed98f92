"""Sentences to log once when recording begins, about the name and the place of the counts.

Knows no database and starts nothing.
"""

import logging
from collections.abc import Iterator

from fastapi_lens.config.lens_config import LensConfig

UNNAMED = "app"
"""The name of an application without a title."""

_DEFAULT_TITLES = frozenset({"FastAPI", UNNAMED})

Note = tuple[int, str]
"""A log level, and a sentence."""


def notes(config: LensConfig, name: str, *, in_memory: bool) -> Iterator[Note]:
    """The notes about given settings.

    Args:
        config: The settings.
        name: The application's name, under which its counts are stored.
        in_memory: True if the counts exist only in this process.
    """
    place = config.place
    if place.fallback:
        yield (
            logging.WARNING if place.is_fault else logging.INFO,
            "keeps its counts in memory, where they end with this process: " + place.fallback,
        )
    # In memory, no other application can share the counts.
    if config.app_name is None and name in _DEFAULT_TITLES and not in_memory:
        yield (
            logging.WARNING,
            (
                f"stores this application under the default name {name!r}: calls of any other "
                "application without a title in this database are added to the same counts; "
                "set LensConfig(app_name=…) or FastAPI(title=…)"
            ),
        )
