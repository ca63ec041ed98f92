"""The usage of several endpoints together. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from fastapi_lens.reporting.model import Endpoint, Usage


def counted_usage(endpoints: Iterable[Endpoint]) -> Usage:
    """The calls of all; without a histogram."""
    return Usage.total([replace(one.usage, histogram=None) for one in endpoints])


def timed_usage(endpoints: Iterable[Endpoint]) -> Usage:
    """The calls whose durations count, with a histogram if all of them have one."""
    return Usage.total([one.usage for one in endpoints if one.is_timed])
