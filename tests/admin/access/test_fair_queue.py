"""The wait for a turn: one turn of each other network at most."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.http import fair_queue
from fastapi_lens.admin.http.fair_queue import BusyError, FairQueue

pytestmark = pytest.mark.unit

Networks = tuple[str, str]


class Line:
    """People who have come to a queue one after the other, and how they fared."""

    def __init__(self, max_waiting: int = 1_000) -> None:
        """Nobody has come."""
        self.queue = FairQueue(max_waiting)
        self.served: list[Networks] = []
        self.refused: list[Networks] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.running = 0

    async def come(self, *people: Networks) -> None:
        """They come in this order, and wait."""
        for one in people:
            self.tasks.append(asyncio.create_task(self.wait(one)))
            await asyncio.sleep(0)

    async def wait(self, networks: Networks) -> None:
        try:
            async with self.queue.turn(networks):
                self.running += 1
                assert self.running == 1
                self.served.append(networks)
                try:
                    await asyncio.sleep(0)
                finally:
                    self.running -= 1
        except BusyError:
            self.refused.append(networks)

    async def empty(self) -> None:
        """Wait until all are served or refused."""
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def flooded(*people: Networks, max_waiting: int = 1_000) -> tuple[Line, asyncio.Event]:
    """A queue whose turn is taken until the event, and in which these wait."""
    line, done = Line(max_waiting), asyncio.Event()

    async def hold() -> None:
        async with line.queue.turn(("first", "first")):
            await done.wait()

    line.tasks.append(asyncio.create_task(hold()))
    await asyncio.sleep(0)
    await line.come(*people)
    return line, done


def test_a_network_that_waits_once_goes_before_the_second_turn_of_another() -> None:
    async def scenario() -> Line:
        line, done = await flooded(*[("flood", f"flood-{n}") for n in range(50)])
        await line.come(("far", "away"))
        done.set()
        await line.empty()
        return line

    line = asyncio.run(scenario())
    assert line.served.index(("far", "away")) <= 1
    assert len(line.served) == 51


def test_within_a_network_the_smaller_ones_take_turns() -> None:
    async def scenario() -> Line:
        line, done = await flooded(*[("provider", "guesser")] * 20)
        await line.come(("provider", "neighbour"))
        done.set()
        await line.empty()
        return line

    assert asyncio.run(scenario()).served.index(("provider", "neighbour")) <= 1


def test_a_full_queue_refuses_those_of_whom_most_wait() -> None:
    async def scenario() -> Line:
        line, done = await flooded(*[("flood", f"{n}") for n in range(9)], max_waiting=5)
        await line.come(("far", "away"), ("far", "too"), ("other", "one"))
        done.set()
        await line.empty()
        return line

    line = asyncio.run(scenario())
    assert {networks[0] for networks in line.refused} == {"flood"}
    assert {("far", "away"), ("far", "too"), ("other", "one")} < set(line.served)
    assert len(line.served) == 5


def test_who_gives_up_waiting_leaves_the_turn_to_others() -> None:
    async def scenario() -> Line:
        line = Line()
        async with line.queue.turn(("first", "first")):
            await line.come(("a", "1"), ("b", "1"), ("c", "1"))
            line.tasks[0].cancel()
            await asyncio.sleep(0)
        # Its turn has come, but it is not awake yet.
        line.tasks[1].cancel()
        await line.empty()
        await line.come(("d", "1"))
        await line.empty()
        return line

    assert asyncio.run(scenario()).served == [("c", "1"), ("d", "1")]


def test_who_is_refused_and_gives_up_in_the_same_moment_has_no_turn_to_leave() -> None:
    async def scenario() -> Line:
        line, done = await flooded(("a", "1"), max_waiting=1)
        line.tasks.append(asyncio.create_task(line.wait(("a", "2"))))
        line.tasks.append(asyncio.create_task(line.wait(("b", "1"))))
        await asyncio.sleep(0)
        for task in line.tasks[1:]:
            task.cancel()
        await line.come(("c", "1"))
        done.set()
        await line.empty()
        return line

    line = asyncio.run(scenario())
    assert line.served == [("c", "1")]
    assert line.running == 0


def remembered(line: Line) -> Mapping[str, int]:
    """The latest turns. Who is served shows no bound of it: a queue that forgets is still fair."""
    return line.queue._latest


def test_what_is_remembered_of_networks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "MAX_NETWORKS", 10)

    async def scenario() -> Line:
        line, done = await flooded(*[(f"n{n}", f"n{n}") for n in range(40)])
        done.set()
        await asyncio.sleep(0)
        while len(line.served) < 39:
            assert len(remembered(line)) <= 12
            await asyncio.sleep(0)
        await line.empty()
        return line

    line = asyncio.run(scenario())
    assert len(line.served) == 40
    assert remembered(line) == {}


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("123")), max_size=30),
    st.integers(1, 40),
)
def test_everybody_is_served_or_refused_once_and_a_newcomer_waits_for_one_turn_of_each_other(
    people: Sequence[Networks], max_waiting: int
) -> None:
    async def scenario() -> Line:
        line, done = await flooded(*people, max_waiting=max_waiting)
        await line.come(("newcomer", "newcomer"))
        done.set()
        await line.empty()
        return line

    line = asyncio.run(scenario())
    everybody = [*people, ("newcomer", "newcomer")]
    assert sorted(line.served + line.refused) == sorted(everybody)
    assert len(line.served) == min(max_waiting, len(everybody))
    if ("newcomer", "newcomer") in line.served:
        waited_for = line.served[: line.served.index(("newcomer", "newcomer"))]
        assert len({wide for wide, _ in waited_for}) == len(waited_for) <= 3
    else:
        # Only where nobody has more than one waiting.
        assert len(people) >= max_waiting
        assert max(map([wide for wide, _ in people].count, "ABC")) <= len(people)
