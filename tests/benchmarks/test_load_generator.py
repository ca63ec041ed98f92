"""The load generator counts what servers answer."""

import json
from threading import Thread

import pytest
import uvicorn
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from benchmarks.answers import status_of
from benchmarks.load_generator import Server, main
from benchmarks.support.ports import HOST, free_port
from benchmarks.support.waiting import wait_until

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONNECTIONS = 3


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_an_answer_without_its_last_bytes_has_no_status_yet(length: int) -> None:
    assert status_of(WHOLE[:length]) is None


def test_a_whole_answer_has_its_status() -> None:
    assert status_of(WHOLE) == 200
    assert status_of(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n") == 404


class Counting:
    """An application that counts what it is asked, and refuses one path."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            query = scope["query_string"].decode()
            self.asked.append(f"{scope['path']}?{query}")
            response: Response = PlainTextResponse("x" * 50_000)
            if scope["path"] == "/refused":
                response = PlainTextResponse("no", 503)
            await response(scope, receive, send)


@pytest.mark.server
def test_every_answer_of_a_run_is_counted_by_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    app, port = Counting(), free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host=HOST, port=port, log_level="warning", lifespan="off", ws="none")
    )
    thread = Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        base = f"http://{HOST}:{port}"
        with Server(f"{base}/given?a=1", CONNECTIONS) as given:
            first, second = given.run(0.05), given.run(0.0)
        assert (first.failed, second.failed) == (0, 0)
        assert second.answered == CONNECTIONS
        assert first.answered > CONNECTIONS
        assert first.seconds >= 0.05
        assert app.asked == ["/given?a=1"] * (first.answered + second.answered)

        runs = [["one", f"{base}/given"], ["other", f"{base}/refused"]]
        main(json.dumps({"runs": runs, "seconds": 0.0, "connections": 2}))
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(line["answered"], line["failed"]) for line in lines] == [(2, 0), (0, 2)]
    finally:
        server.should_exit = True
        thread.join()
