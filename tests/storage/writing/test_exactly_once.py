"""Every count is in the database once, whatever happened on the way; see `ordeal`."""

from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from benchmarks.support.database_server import DatabaseServer
from benchmarks.support.ordeal import Ordeal


@pytest.mark.unmeasured
def test_eight_processes_add_up_exactly_while_a_server_fails_them(
    database_server: DatabaseServer,
    server_url: str,
    fork_server: ForkServerContext,
    tmp_path: Path,
) -> None:
    with Ordeal(fork_server, server_url, tmp_path, server=database_server) as ordeal:
        ordeal.go_on_until(12)
        ordeal.cut()
        ordeal.go_on_until(12)
        ordeal.crash()
        ordeal.go_on_until(16)
        outcome = ordeal.finish()

    assert outcome.differences == 0
    assert outcome.told.batches == outcome.batches
    assert min(outcome.told.lost, outcome.cut, outcome.crashes) > 0


def test_eight_processes_add_up_exactly_while_some_are_killed_in_a_transaction(
    fork_server: ForkServerContext, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'lens.db'}"
    with Ordeal(fork_server, url, tmp_path, killed=0.02) as ordeal:
        ordeal.go_on_until(80)
        outcome = ordeal.finish()

    assert outcome.differences == 0
    # Those that were killed could not tell of theirs.
    assert outcome.told.batches <= outcome.batches
    assert min(outcome.told.lost, outcome.crashes) > 0
