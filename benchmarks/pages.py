"""Response times of the admin's pages with thousands of endpoints: `make bench-pages`.

Lays a past down for 1,000 and for 5,000 endpoints on SQLite, serves it with uvicorn, and asks for
pages over HTTP, each so late that no answer is shared, while requests are recorded. Then a
Chromium opens the list of the first with an empty cache, again and again. ``--quick`` asks less;
the section of RESULTS.md says which it was. Takes four minutes, and its numbers are worth
something only while the machine does nothing else.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Request, sync_playwright

from benchmarks.budgets import budget_row
from benchmarks.machine import machine, versions
from benchmarks.pages_app import APP, OLD_DAYS, UNUSED_OF_TEN, lay_down, paths, serving
from benchmarks.sections import write_section
from benchmarks.storage_results import percentile
from benchmarks.support.clients import Client
from benchmarks.support.servers import Server
from fastapi_lens import LensConfig
from fastapi_lens.reporting.cache import MAX_AGE_SECONDS
from fastapi_lens.storage.schema.identities import endpoint_id
from scripts import chromium

SIZES = (1_000, 5_000)
LIST_MS, FIRST_ROW_MS, LOAD_BYTES = 600.0, 300.0, 60_000
"""Budgets: of the list with the most endpoints, of its first row in a browser, and of all that its
first load transfers."""

PER_SECOND = 20
SETTLE_SECONDS = 2.0
LISTS = {
    "the list": "/lens/endpoints",
    "by p95, page 7": "/lens/endpoints?sort=-p95&page=7",
    "a search": "/lens/endpoints?q=thing3&method=GET",
    "all time": "/lens/endpoints?days=all",
}
_FIRST = f"/lens/endpoints/{endpoint_id(APP, 'GET', paths(UNUSED_OF_TEN + 1)[-1]):016x}"
_OLD = f"an endpoint, {OLD_DAYS} days"
OTHERS = {
    "an endpoint, 7 days": _FIRST,
    _OLD: f"{_FIRST}?days=all",
    "requests": "/lens/requests",
}

FLUSH_SECONDS = LensConfig().flush_interval
APART_SECONDS = (FLUSH_SECONDS + 0.1) / len(LISTS | OTHERS)
"""Between two questions: new counts are written before one is asked again, so that no answer is
given twice."""

# When the first row is there and painted, in milliseconds since the address was asked for.
_WATCH = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("#lens-rows tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstRow = performance.now() }));
}).observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Answers to one question.

    Attributes:
        first: The very first one, in milliseconds.
        times: Later ones.
        bytes: Of the page.
    """

    first: float
    times: list[float]
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Number of requests per question, and of openings of the list in a browser."""

    rounds: int
    openings: int


FULL, QUICK = Plan(8, 12), Plan(3, 3)


async def ask(port: int, plan: Plan) -> dict[str, Question]:
    """Each question first once, then in turns, while requests are recorded."""
    asking, calling = await Client.connect(port), await Client.connect(port)
    using = asyncio.create_task(_use(calling))
    questions = {**LISTS, **OTHERS}
    first = {name: await _timed(asking, path) for name, path in questions.items()}
    times: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(plan.rounds):
        for name, path in questions.items():
            await asyncio.sleep(APART_SECONDS)
            times[name].append((await _timed(asking, path))[0])
    using.cancel()
    for client in (asking, calling):
        await client.close()
    return {name: Question(first[name][0], times[name], first[name][1]) for name in questions}


async def _use(client: Client) -> None:
    while True:
        for path in paths(PER_SECOND):
            await client.get(path.replace("{thing_id}", "7"))
            await asyncio.sleep(1 / PER_SECOND)


async def _timed(client: Client, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    body = await client.get(path)
    assert body, path
    return 1_000 * (time.perf_counter() - began), len(body)


def first_rows(server: Server, openings: int) -> tuple[list[float], int]:
    """Times until a browser shows the first row, in milliseconds, and the bytes transferred."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=chromium.launch_arguments()
        )
        found = []
        for _ in range(openings + 1):
            time.sleep(MAX_AGE_SECONDS + 0.1)
            found.append(_opened(browser, f"{server.url}/lens/endpoints"))
        browser.close()
    # The browser itself starts with the first one.
    return [first_row for first_row, _ in found[1:]], found[-1][1]


def _opened(browser: Browser, address: str) -> tuple[float, int]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(_WATCH)
    page, requests = context.new_page(), list[Request]()

    def note(request: Request) -> None:
        requests.append(request)

    # Playwright marks its handlers, which a built-in method does not allow.
    page.on("requestfinished", note)
    page.goto(address, wait_until="networkidle")
    first_row = float(page.evaluate("window.firstRow"))
    transferred = sum(request.sizes()["responseBodySize"] for request in requests)
    context.close()
    return first_row, transferred


def run(plan: Plan) -> tuple[dict[int, dict[str, Question]], list[float], int]:
    """Everything, one after the other."""
    asked: dict[int, dict[str, Question]] = {}
    rows: list[float] = []
    loaded = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        urls = {size: f"sqlite:///{folder / f'{size}.db'}" for size in SIZES}
        for size, url in urls.items():
            print(f"bench: laying down {size:,} endpoints", flush=True)
            lay_down(url, endpoints=size, now=time.time())
        for size, url in urls.items():
            print(f"bench: asking for pages of {size:,} endpoints", flush=True)
            with serving(url, endpoints=size, folder=folder) as server:
                time.sleep(SETTLE_SECONDS)
                asked[size] = asyncio.run(ask(server.port, plan))
                if size == SIZES[0]:
                    rows, loaded = first_rows(server, plan.openings)
    return asked, rows, loaded


def section(
    asked: dict[int, dict[str, Question]], rows: list[float], loaded: int, *, command: str
) -> str:
    """The section of RESULTS.md."""
    known = versions()
    head = " | ".join(f"{size:,}: first | p50 / p95 | bytes" for size in SIZES)
    lines = "\n".join(
        f"| {name} | " + " | ".join(_cells(asked[size][name]) for size in SIZES) + " |"
        for name in (*LISTS, *OTHERS)
    )
    return f"""## Pages with thousands of endpoints

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python {known["Python"]}, \
FastAPI {known["fastapi"]}, uvicorn {known["uvicorn"]}. {SIZES[0]:,} and {SIZES[1]:,} endpoints on \
SQLite, one in ten never called, the others four times a day in the last week; one of them has \
{OLD_DAYS} days. Milliseconds over HTTP to the last byte, one question at a time and so far apart \
that no answer is shared, while {PER_SECOND} requests a second are recorded and written every 5 s. \
*First* is the first answer of the process.

| page | {head} |
|---|{"---|" * 3 * len(SIZES)}
{lines}

A Chromium on the same machine, with an empty cache, {SIZES[0]:,} endpoints: the first row is \
painted {percentile(rows, 50):.0f} / {percentile(rows, 95):.0f} ms (p50 / p95) after the address \
was asked for; the page with all it needs takes {loaded:,} bytes on the wire.

| what | budget | measured |  |
|---|---|---|---|
{_budgets(asked, rows, loaded)}
"""


def _cells(asked: Question) -> str:
    p50, p95 = (percentile(asked.times, q) for q in (50, 95))
    return f"{asked.first:.0f} | {p50:.0f} / {p95:.0f} | {asked.bytes:,}"


def _budgets(asked: dict[int, dict[str, Question]], rows: list[float], loaded: int) -> str:
    most = max(SIZES)
    slowest = max(percentile(asked[most][name].times, 50) for name in LISTS)
    return "\n".join(
        (
            budget_row(f"{most:,} endpoints: slowest list, p50", slowest, LIST_MS, "ms"),
            budget_row("first row in a browser, p95", percentile(rows, 95), FIRST_ROW_MS, "ms"),
            budget_row("first load of the list, transferred", loaded, LOAD_BYTES, "bytes"),
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure pages with thousands of endpoints.")
    parser.add_argument("--quick", action="store_true", help="rough numbers")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="of RESULTS.md")
    options = parser.parse_args(arguments)
    found = run(QUICK if options.quick else FULL)
    command = "make bench-pages" + (" ARGS=--quick" if options.quick else "")
    body = section(*found, command=command)
    write_section(options.out / "RESULTS.md", "pages", body)
    print(body)


if __name__ == "__main__":
    main()
