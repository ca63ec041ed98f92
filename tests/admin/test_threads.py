import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from fastapi_lens.admin.threads import CHANGERS, READERS, in_changing_thread, in_reader_thread

InThread = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


class Slow:
    """Work that goes on until it may end."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self) -> None:
        self.begun += 1
        assert self.may_end.wait(timeout=10)


async def test_what_is_changed_slowly_keeps_nobody_from_reading() -> None:
    slow = Slow()
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
    slow = Slow()
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
