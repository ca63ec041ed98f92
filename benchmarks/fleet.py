"""Benchmark of fleets: the workers that one PostgreSQL carries, their CPU, the age of a page.

``python -m benchmarks.fleet`` (`make bench-fleet`) takes eight minutes and writes its section of
RESULTS.md; ``--quick`` two minutes, with rough numbers and no file. A fleet is simulated by some
processes of `fleet_workers` on the machine of the database; at 8 and 64 workers the first edition's
writer does the same work.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from benchmarks.fleet_results import (
    LAG_ENDPOINTS,
    LAG_WORKERS,
    PROCESSES,
    THREADS,
    Findings,
    Measured,
    Plan,
    section,
)
from benchmarks.fleet_watch import Watch, busy_seconds
from benchmarks.fleet_workers import SETTLE_SECONDS, Calls, Crew, SimulatedWorker, Told, run
from benchmarks.sections import write_section
from benchmarks.support.postgres import PostgresServer
from fastapi_lens.recording.flush.draining import LEASE, LEASE_SECONDS
from fastapi_lens.storage.coordination.leases import renew_lease, take_lease
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate

FULL = Plan((1, 8, 64, 256, 1_024), (50, 500), (8, 64), (256, 500), 5.0, 16.0, 100)
QUICK = Plan((8, 256), (500,), (8,), (256, 500), 5.0, 5.0, 30)
SMOKE = Plan((1, 6), (5,), (6,), (6, 5), 0.3, 0.6, 3)
"""Proves that the programs run; the numbers mean nothing."""


@contextmanager
def new_database(postgres: PostgresServer) -> Iterator[str]:
    """A database with tables, dropped in the end."""
    url = postgres.create_database()
    database = Database(url)
    migrate(database)
    database.close()
    try:
        yield url
    finally:
        postgres.drop_database(url)


def crews(first: Crew) -> list[Crew]:
    """The processes of a fleet, from that of its first worker, which is alone in it."""
    others = range(1, first.fleet)
    parts = [others[number::PROCESSES] for number in range(PROCESSES)]
    return [
        first,
        *(
            replace(first, numbers=part, threads=min(THREADS, len(part)), naps=False)
            for part in parts
            if part
        ),
    ]


def measure(context: ForkServerContext, first: Crew, *, bystander: bool = False) -> Measured:
    """Let a fleet work for a while.

    Args:
        context: Starts processes.
        first: The process of the first worker.
        bystander: True to run one more process with an event loop and nothing else; its lag is
            among the others' lags.
    """
    all_crews = crews(first)
    if bystander:
        all_crews.append(replace(first, numbers=range(0), threads=0))
    ready = context.Barrier(len(all_crews) + 1)
    answers = [context.SimpleQueue() for _ in all_crews]
    processes = [
        context.Process(target=run, args=(crew, ready, answer), daemon=True)
        for crew, answer in zip(all_crews, answers, strict=True)
    ]
    for process in processes:
        process.start()
    database = Database(first.url)
    watch = Watch(database, time.time())
    ready.wait(timeout=120)
    time.sleep(first.warm_up_seconds)
    server_cpu, machine_cpu, begun = watch.cpu(), busy_seconds(), time.monotonic()
    looks = watch.looks(first.seconds)
    seconds = time.monotonic() - begun
    server_cpu, machine_cpu = watch.cpu() - server_cpu, busy_seconds() - machine_cpu
    first_told, *others = [answer.get() for answer in answers]
    for process in processes:
        process.join()
    database.close()
    return Measured(
        workers=first.fleet,
        endpoints=first.endpoints,
        is_first_edition=first.is_first_edition,
        seconds=seconds,
        first=first_told,
        others=Told.sum_of(others),
        server_cpu=server_cpu,
        machine_cpu=machine_cpu,
        looks=looks,
    )


def flush_ms(postgres: PostgresServer, plan: Plan) -> list[float]:
    """Milliseconds of CPU of each flush in the thread of a worker that does not drain."""
    with new_database(postgres) as url:
        database = Database(url)
        crew = first_crew(url, plan, 1, max(plan.endpoints))
        calls = Calls(crew.endpoints, seed=1)
        worker = SimulatedWorker(crew, 0, database, calls)
        found = []
        for _ in range(plan.flushes + 1):
            calls.count()
            _hold_lease(database)
            begun = time.thread_time()
            assert worker.flush()
            found.append((time.thread_time() - begun) * 1_000)
        database.close()
    # The first one registers the endpoints.
    return found[1:]


def _hold_lease(database: Database) -> None:
    """Drain, as far as the other workers know, in another process."""
    assert any(
        ask(database, LEASE, owner="another", now=time.time(), seconds=LEASE_SECONDS)
        for ask in (renew_lease, take_lease)
    )


def first_crew(
    url: str, plan: Plan, workers: int, endpoints: int, *, is_first_edition: bool = False
) -> Crew:
    """The process of a fleet's first worker."""
    return Crew(
        url=url,
        endpoints=endpoints,
        interval=plan.interval,
        numbers=range(1),
        fleet=workers,
        threads=1,
        warm_up_seconds=SETTLE_SECONDS + 1.2 * plan.interval,
        seconds=plan.seconds * (1 + ((workers, endpoints) == plan.judged)),
        is_first_edition=is_first_edition,
    )


def measure_all(plan: Plan) -> Findings:
    """Everything, each fleet with a database of its own."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fleet_workers"])
    kinds = [(workers, False) for workers in plan.workers]
    kinds += [(workers, True) for workers in plan.compared]
    fleets = []
    with PostgresServer() as postgres:
        for workers, is_first_edition in kinds:
            for endpoints in plan.endpoints:
                edition = "the first edition's writer" if is_first_edition else "today's"
                print(f"fleet: {workers} workers, {endpoints} endpoints, {edition}", flush=True)
                with new_database(postgres) as url:
                    crew = first_crew(
                        url, plan, workers, endpoints, is_first_edition=is_first_edition
                    )
                    fleets.append(measure(context, crew))
        print("fleet: one flush, and the event loop", flush=True)
        with new_database(postgres) as url:
            crew = first_crew(url, plan, LAG_WORKERS, LAG_ENDPOINTS)
            lag = measure(context, replace(crew, naps=True), bystander=True)
        flushes = flush_ms(postgres, plan)
    return Findings(fleets, flushes, lag.first.lag_ms, lag.others.lag_ms)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Let a fleet of workers write to one PostgreSQL.")
    parser.add_argument("--quick", action="store_true", help="rough numbers, and no file")
    parser.add_argument("--smoke", action="store_true", help="only see whether it runs")
    options = parser.parse_args(arguments)
    plan = SMOKE if options.smoke else QUICK if options.quick else FULL
    load = os.getloadavg()[0]
    found = measure_all(plan)
    body = section(found, plan, command="make bench-fleet", load=load)
    print(body)
    if plan is FULL:
        write_section(Path(__file__).with_name("RESULTS.md"), "fleet", body)


if __name__ == "__main__":
    main()
