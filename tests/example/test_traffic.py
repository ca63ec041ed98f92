"""The demo's traffic reaches what is alive, leaves alone what is not, and keeps its pace."""

import asyncio
from random import Random

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from example_project.catalogue import CATALOGUE
from example_project.credentials import DEMO_KEY
from example_project.factory import create_app
from example_project.pacing import EnoughError, Pacer, rate_at
from example_project.profiles import PROFILES, QUIET
from example_project.scenarios import MIX
from example_project.settings import Settings
from example_project.shopper import NO_ANSWER, Memory, Shopper
from example_project.traffic import parse

VERY_FAST = 1e9


def shopper_of(transport: httpx.AsyncBaseTransport, pacer: Pacer) -> Shopper:
    skus = [row[0] for rows in CATALOGUE.values() for row in rows]
    client = httpx.AsyncClient(base_url="http://testserver", transport=transport)
    return Shopper(client, pacer, Memory(skus=skus), Random(3))


class Bold(Shopper):
    """Does everything that others seldom do."""

    def likely(self, probability: float) -> bool:
        return True


def test_scenarios_reach_all_that_is_alive_and_nothing_that_is_not(
    app: FastAPI, settings: Settings
) -> None:
    async def play() -> Memory:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        shopper = shopper_of(transport, Pacer(VERY_FAST, Random(1)))
        for kind in (*[Shopper] * 15, Bold):
            shopper.__class__ = kind
            for scenario in MIX:
                await scenario(shopper)
        return shopper.memory

    with TestClient(app):
        memory = asyncio.run(play())
    with TestClient(create_app(settings)) as client:
        rows = client.get("/lens/report", headers={"X-Lens-Key": DEMO_KEY}).json()["endpoints"]
    called = {(row["method"], row["path"]) for row in rows if row["total_calls"]}
    # Listening is the part of a client of its own; see the launcher's test.
    alive = set(PROFILES) - QUIET - {("WEBSOCKET", "/v2/orders/events")}
    assert called == alive
    assert {200, 201, 204, 404, 409, 422, 500} <= set(memory.statuses)


def test_a_server_that_is_gone_does_not_end_a_client() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    async def play() -> Shopper:
        shopper = shopper_of(httpx.MockTransport(refuse), Pacer(VERY_FAST, Random(1)))
        for scenario in MIX:
            await scenario(shopper)
        return shopper

    memory = asyncio.run(play()).memory
    assert set(memory.statuses) == {NO_ANSWER}


def test_the_rate_has_the_asked_mean_and_bursts() -> None:
    rates = [rate_at(second / 10, mean=20) for second in range(0, 97 * 43 * 10, 7)]
    assert sum(rates) / len(rates) == pytest.approx(20, rel=0.02)
    assert max(rates) > 1.8 * 20
    assert min(rates) > 0.5 * 20


def test_turns_end_when_all_that_were_asked_for_are_taken() -> None:
    async def take() -> int:
        pacer = Pacer(VERY_FAST, Random(1), most=5)
        for _ in range(5):
            await pacer.turn()
        with pytest.raises(EnoughError):
            await pacer.turn()
        return pacer.turns

    assert asyncio.run(take()) == 5


def test_a_rate_has_to_be_positive(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--rate", "0"])
    assert "must be greater than 0" in capsys.readouterr().err
    assert parse(["--base-url", "http://x/", "--count", "3"]).base_url == "http://x"
