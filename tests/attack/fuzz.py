"""`make fuzz`: very many requests of every kind to every route, and what came back.

``--requests`` says how many (20,000), ``--seed`` repeats a run. Ends with 1 at the first answer
that no answer may be, and prints the request.
"""

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.attack.fuzzing import Attempt, attempts, problems
from tests.attack.target import Target, build

AT_ONCE = 1_000
"""Requests that share a seed; hypothesis remembers them all, and gets slower with each."""

LOCAL_SHARE = 5
"""One of so many goes to an admin without a key, which only this machine may see."""


def fuzz(target: Target, *, requests: int, start: int, shrink: bool = True) -> Counter[int]:
    """Send requests, and count the answers by status.

    Args:
        target: Where to.
        requests: Least number of requests.
        start: The seed.
        shrink: Shrinks a failing request to the smallest one when true.

    Raises:
        AssertionError: An answer is one that no answer may be.
    """
    statuses: Counter[int] = Counter()
    phases = (Phase.generate, *([Phase.shrink] if shrink else []))
    for number in range(start, sys.maxsize):
        left = requests - statuses.total()
        if left <= 0:
            break

        @seed(number)
        @settings(
            max_examples=min(left, AT_ONCE),
            database=None,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )
        @given(attempts(target))
        def one(attempt: Attempt) -> None:
            answer = target.call(attempt.raw)
            statuses[answer.status] += 1
            found = problems(attempt, answer)
            assert found == [], f"{found} for {attempt.raw}"

        one()
    return statuses


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Fuzz every route of the admin.")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000) * 1_000)
    options = parser.parse_args(arguments)
    print(f"fuzz: {options.requests:,} requests, --seed {options.seed}", flush=True)
    began = time.monotonic()
    statuses: Counter[int] = Counter()
    local = options.requests // LOCAL_SHARE
    runs: list[tuple[dict[str, Any], int]] = [
        ({}, options.requests - local),
        ({"report_keys": {}}, local),
    ]
    for chosen, requests in runs:
        with TemporaryDirectory() as name:
            target = build(Path(name), **chosen)
            try:
                statuses += fuzz(target, requests=requests, start=options.seed)
            finally:
                target.close()
    by_status = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
    print(f"fuzz: {statuses.total():,} answers in {time.monotonic() - began:.0f} s: {by_status}")
    print("fuzz: no server error, no stack trace, no secret, nothing shown without access")
    return 0


if __name__ == "__main__":
    sys.exit(main())
