"""Cost of twenty open tabs for the server: `make bench-tabs`.

Twenty clients ask as `lens.js` does in as many tabs, each for its page's fragment every 5 s with
the entity tag that it has. The server's processor time is read from ``/proc``, with the tabs and
without them, while nothing is recorded and while requests are. Takes three minutes, and its
numbers are worth something only while the machine does nothing else. Linux only.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.machine import machine, versions
from benchmarks.pages_app import APP, UNUSED_OF_TEN, lay_down, paths, serving
from benchmarks.sections import write_section
from benchmarks.support.servers import Server
from fastapi_lens.storage.schema.identities import endpoint_id

ENDPOINTS = 200
TABS = 20
EVERY_SECONDS = 5.0
PER_SECOND = 20
SHARE = 0.05
"""Of one core that all tabs together may cost."""

_ENDPOINT = f"/lens/endpoints/{endpoint_id(APP, 'GET', paths(UNUSED_OF_TEN + 1)[-1]):016x}"
PAGES = (
    "/lens/",
    "/lens/endpoints",
    "/lens/endpoints?sort=-p95",
    "/lens/endpoints?days=30",
    _ENDPOINT,
)
"""Pages of the tabs, in turns."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one phase.

    Attributes:
        alone: Share of a core that the server takes without tabs.
        with_tabs: With all of them.
        statuses: Number of answers by status.
    """

    alone: float
    with_tabs: float
    statuses: dict[int, int]

    @property
    def tabs(self) -> float:
        """Share of a core that the tabs cost."""
        return max(0.0, self.with_tabs - self.alone)


async def tab(server: Server, page: str, begin: float, end: float, seen: Counter[int]) -> None:
    """One tab from its loading to its closing."""
    asked = {
        "HX-Request": "true",
        "HX-Request-Type": "partial",
        "HX-Source": "div#lens-live",
        "HX-Current-URL": server.url + page,
    }
    async with httpx.AsyncClient(base_url=server.url) as client:
        await asyncio.sleep(begin)
        tag = ""
        while time.perf_counter() < end:
            answer = await client.get(page, headers={**asked, "If-None-Match": tag})
            seen[answer.status_code] += 1
            tag = answer.headers.get("etag", tag)
            await asyncio.sleep(EVERY_SECONDS)


async def use(server: Server) -> None:
    """Requests to the endpoints, until cancelled."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in cycle(paths(PER_SECOND)):
            await client.get(path.replace("{thing_id}", "7"))
            await asyncio.sleep(1 / PER_SECOND)


async def measure(server: Server, seconds: float, *, used: bool) -> Measured:
    """The server's time without tabs and with them."""
    using = asyncio.create_task(use(server)) if used else None
    await asyncio.sleep(2 * EVERY_SECONDS)
    alone = await _share(server, seconds)
    seen: Counter[int] = Counter()
    end = time.perf_counter() + 2 * EVERY_SECONDS + seconds
    pages = islice(cycle(PAGES), TABS)
    tabs = [
        asyncio.create_task(tab(server, page, EVERY_SECONDS * number / TABS, end, seen))
        for number, page in enumerate(pages)
    ]
    # Each has loaded its page once by then, which is not what is measured.
    await asyncio.sleep(2 * EVERY_SECONDS)
    seen.clear()
    with_tabs = await _share(server, seconds)
    statuses = dict(seen)
    await asyncio.gather(*tabs)
    if using is not None:
        using.cancel()
    return Measured(alone, with_tabs, statuses)


async def _share(server: Server, seconds: float) -> float:
    before, began = processor_seconds(server.process.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    spent = processor_seconds(server.process.pid) - before
    return spent / (time.perf_counter() - began)


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(seconds: float) -> dict[str, Measured]:
    """While nothing is recorded, and while requests are."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'lens.db'}"
        print(f"bench: laying down {ENDPOINTS} endpoints", flush=True)
        lay_down(url, endpoints=ENDPOINTS, now=time.time())
        with serving(url, endpoints=ENDPOINTS, folder=folder) as server:
            print(f"bench: {TABS} tabs", flush=True)
            return {
                words: asyncio.run(measure(server, seconds, used=used))
                for words, used in (
                    ("nothing is recorded", False),
                    (f"{PER_SECOND} requests a second are recorded", True),
                )
            }


def section(found: dict[str, Measured], *, command: str) -> str:
    """The section of RESULTS.md."""
    known = versions()
    lines = "\n".join(
        f"| {words} | {one.alone:.1%} | {one.with_tabs:.1%} | {one.tabs:.1%} | {SHARE:.0%} "
        f"| {'within' if one.tabs <= SHARE else '**above**'} "
        f"| {one.statuses.get(304, 0)} | {one.statuses.get(200, 0)} |"
        for words, one in found.items()
    )
    return f"""## Twenty open tabs

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}, uvicorn {known["uvicorn"]}. One uvicorn worker with {ENDPOINTS} \
endpoints on SQLite and {TABS} clients that ask as the script of a tab does, each every \
{EVERY_SECONDS:g} s with the entity tag of what it shows: two in five show the list, the others \
two more views of it and an endpoint. Shares of one core, from the server's processor time; counts \
are written every 5 s, so that a page changes as often as it is asked for while requests come in.

| while | without tabs | with {TABS} tabs | the tabs | budget |  | 304 | 200 |
|---|---|---|---|---|---|---|---|
{lines}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure what open tabs cost.")
    parser.add_argument("--quick", action="store_true", help="rough numbers in a minute")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="of RESULTS.md")
    options = parser.parse_args(arguments)
    found = run(10.0 if options.quick else 30.0)
    command = "make bench-tabs" + (" ARGS=--quick" if options.quick else "")
    body = section(found, command=command)
    write_section(options.out / "RESULTS.md", "tabs", body)
    print(body)


if __name__ == "__main__":
    main()
