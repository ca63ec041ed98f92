import itertools
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fastapi_lens.admin.rounds import EACH_SECONDS, FEW, TURN_SECONDS, in_round, in_turn
from tests.admin.working import Work

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  A thread makes it true.
            await anyio.sleep(0.001)


async def test_all_who_ask_while_it_is_done_share_the_next_round() -> None:
    work, found = Work(), list[int]()

    async def ask() -> None:
        found.append(await in_round("calls", work))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await until(lambda: work.begun == 1)
        for _ in range(20):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        work.may_end.set()
    assert sorted(found) == [1] + [2] * 20
    assert await in_round("calls", work) == 3


async def test_another_question_does_not_wait() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_round, "calls", work)
        await until(lambda: work.begun == 1)
        assert await in_round("other", lambda: "at once") == "at once"
        work.may_end.set()


async def test_an_error_goes_to_all_who_wait_and_to_nobody_later() -> None:
    work, told = Work(), list[str]()

    def fail() -> int:
        raise LookupError("no such table")

    async def ask() -> None:
        with pytest.raises(LookupError, match="no such table"):
            await in_round("calls", fail)
        told.append("no such table")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_round, "calls", work)
        await until(lambda: work.begun == 1)
        for _ in range(3):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        work.may_end.set()
    assert len(told) == 3
    assert await in_round("calls", work) == 2


async def test_one_who_is_cancelled_leaves_the_work_to_the_others() -> None:
    work, found = Work(), list[int]()
    leader = anyio.CancelScope()

    async def lead() -> None:
        with leader:
            await in_round("calls", work)

    async def follow() -> None:
        found.append(await in_round("calls", work))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_round, "calls", work)
        await until(lambda: work.begun == 1)
        tasks.start_soon(lead)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        leader.cancel()
        await anyio.wait_all_tasks_blocked()
        work.may_end.set()
    assert found == [2] * 3


@pytest.fixture
def gaps_between(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Awaitable[list[float]]]:
    """Seconds to the first answer to so many who ask at once, and from each to the next.

    The clock moves only while somebody sleeps.
    """
    now = 0.0
    sent: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        await checkpoint()
        now += seconds

    async def answer() -> None:
        await in_turn()
        sent.append(now)

    async def ask(how_many: int) -> list[float]:
        sent[:] = [now]
        async with anyio.create_task_group() as tasks:
            for _ in range(how_many):
                tasks.start_soon(answer)
        return [later - earlier for earlier, later in itertools.pairwise(sent)]

    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(anyio, "current_time", lambda: now)
    return ask


async def test_answers_to_a_crowd_go_out_one_by_one_and_the_more_wait_the_further_apart(
    gaps_between: Callable[[int], Awaitable[list[float]]],
) -> None:
    gaps = await gaps_between(FEW + 2)

    waits = [TURN_SECONDS + EACH_SECONDS * waiting for waiting in range(FEW + 1, 0, -1)]
    assert gaps == pytest.approx([0.0, *waits])


async def test_answers_to_a_few_do_not_wait_for_each_other_also_after_a_crowd(
    gaps_between: Callable[[int], Awaitable[list[float]]],
) -> None:
    await gaps_between(3 * FEW)

    assert await gaps_between(FEW + 1) == [0.0] * (FEW + 1)
