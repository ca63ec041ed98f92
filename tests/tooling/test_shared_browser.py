"""The suite's browser goes on from test to test, and leaves the thread to those that have none."""

import asyncio
from pathlib import Path

import pytest

from tests.support.browser import SharedBrowser


@pytest.mark.server  # Not "browser": before this module the suite's own one has to be closed.
def test_a_browser_goes_on_until_it_is_closed_or_has_died_and_then_an_event_loop_may_run(
    chromium_path: Path,
) -> None:
    shared = SharedBrowser()
    try:
        first = shared.get(chromium_path)
        assert shared.get(chromium_path) is first
        first.close()  # As if it had crashed.
        second = shared.get(chromium_path)
        assert second is not first
        assert second.is_connected()
    finally:
        shared.close()
    shared.close()
    assert asyncio.run(asyncio.sleep(0, 7)) == 7
