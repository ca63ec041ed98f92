from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from fastapi_lens.admin.http.thread_pools import (
    CHANGERS,
    READERS,
    in_changing_thread,
    in_reader_thread,
)
from tests.admin.working import Work

InThread = Callable[[Callable[[], int]], Coroutine[Any, Any, int]]

pytestmark = pytest.mark.anyio


async def test_what_is_changed_slowly_keeps_nobody_from_reading() -> None:
    slow = Work()
    async with anyio.create_task_group() as tasks:
        for _ in range(CHANGERS + 1):
            tasks.start_soon(in_changing_thread, slow)
        await anyio.wait_all_tasks_blocked()
        assert await in_reader_thread(lambda: "read") == "read"
        slow.may_end.set()
    assert slow.begun == CHANGERS + 1


@pytest.mark.parametrize(
    ("in_thread", "at_once"), [(in_reader_thread, READERS), (in_changing_thread, CHANGERS)]
)
async def test_no_more_than_a_few_work_at_once(in_thread: InThread, at_once: int) -> None:
    slow = Work()
    async with anyio.create_task_group() as tasks:
        for _ in range(at_once + 3):
            tasks.start_soon(in_thread, slow)
        with anyio.fail_after(10):
            while slow.begun < at_once:  # noqa: ASYNC110  Threads make it true.
                await anyio.sleep(0.001)
        await anyio.sleep(0.02)
        assert slow.begun == at_once
        slow.may_end.set()
    assert slow.begun == at_once + 3
