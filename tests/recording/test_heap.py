"""What a started lens takes out of the garbage collector's rounds, in this very process."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from fastapi_lens import LensConfig
from fastapi_lens.recording.heap import starts
from fastapi_lens.runtime import Lens


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def a_process_that_has_frozen_nothing() -> Iterator[None]:
    starts.cache_clear()
    gc.unfreeze()
    yield
    next(starts())
    gc.unfreeze()


def start_lens(database: Path, *, lifespan: bool = True, freeze_gc: bool = True) -> None:
    lens = Lens(LensConfig(db_path=str(database), freeze_gc=freeze_gc))
    lens.begin(FastAPI(), lifespan=lifespan)
    lens.stop()


@pytest.mark.unmeasured
@pytest.mark.parametrize("lifespan", [True, False])
def test_the_first_start_spares_the_collector_what_lives_by_then(
    tmp_path: Path, *, lifespan: bool
) -> None:
    gc.collect()
    tracked = len(gc.get_objects())
    start_lens(tmp_path / "lens.db", lifespan=lifespan)
    assert gc.get_freeze_count() > 0.9 * tracked


@pytest.mark.parametrize("lifespan", [True, False])
def test_a_second_start_spares_it_nothing_more(tmp_path: Path, *, lifespan: bool) -> None:
    start_lens(tmp_path / "first.db", lifespan=lifespan)
    frozen = gc.get_freeze_count()
    later = [Cycle() for _ in range(1_000)]
    start_lens(tmp_path / "second.db")
    assert gc.get_freeze_count() < frozen + len(later)


def test_a_server_that_starts_keeps_no_garbage_for_ever(tmp_path: Path) -> None:
    gc.disable()
    try:
        Cycle()
        start_lens(tmp_path / "lens.db", lifespan=True)
    finally:
        gc.enable()
    gc.unfreeze()
    assert not any(isinstance(one, Cycle) for one in gc.get_objects())


def test_the_setting_leaves_the_collector_alone(tmp_path: Path) -> None:
    start_lens(tmp_path / "lens.db", freeze_gc=False)
    assert gc.get_freeze_count() == 0
