"""The message that is taken for the last byte of an answer."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from fastapi_lens.recording import middleware
from fastapi_lens.reporting.model import Window
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope

MakeProbe = Callable[..., Probe]

HINT = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}
TRAILERS = {"type": "http.response.trailers", "headers": []}
PAUSE = {"type": "pause"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("messages", "milliseconds"),
    [
        ([HINT, PAUSE, START, BODY], 300),
        ([HINT, PAUSE], 300),
        ([{"type": "http.response.debug", "info": {}}, PAUSE, START, BODY], 300),
        ([{"type": "http.response.push", "path": "/a", "headers": []}, PAUSE, START, BODY], 300),
        ([{"type": "http.response.of_tomorrow"}, PAUSE, START, BODY], 300),
        ([START, {**BODY, "more_body": True}, PAUSE, BODY], 300),
        ([START, PAUSE, BODY, PAUSE], 300),
        ([START, BODY, {"type": "http.response.of_tomorrow"}, PAUSE], 0),
        ([START, {"type": "http.response.pathsend", "path": "/a"}, PAUSE], 0),
        ([START, {"type": "http.response.zerocopysend", "file": 1}, PAUSE], 0),
        ([START, {"type": "http.response.zerocopysend", "more_body": True}, PAUSE, BODY], 300),
        ([{**START, "trailers": True}, BODY, PAUSE, TRAILERS, PAUSE], 300),
        (
            [
                {**START, "trailers": True},
                BODY,
                {**TRAILERS, "more_trailers": True},
                PAUSE,
                TRAILERS,
            ],
            300,
        ),
    ],
)
@pytest.mark.anyio
async def test_a_call_lasts_until_the_message_that_ends_the_response(
    probe: MakeProbe,
    monkeypatch: pytest.MonkeyPatch,
    messages: list[Message],
    milliseconds: int,
) -> None:
    now_ns = [1]
    monkeypatch.setattr(middleware, "perf_counter_ns", lambda: now_ns[0])

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            if message is PAUSE:
                now_ns[0] += 300_000_000
            else:
                await send(message)

    app = FastAPI()
    app.mount("/own", application)
    probed: Any = probe(app)
    sent = await call(probed.app, http_scope("/own/x"), [REQUEST_BODY])
    assert sent == [message for message in messages if message is not PAUSE]
    assert probed.lens.flusher.flush()
    (found,) = probed.lens.reader.endpoints(window=Window(), now=probed.lens.clock())
    assert found.usage.max_ms == milliseconds
