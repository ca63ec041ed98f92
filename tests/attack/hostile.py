"""An application in which an attacker has named everything. Drives no browser."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI, Request

from fastapi_lens import KeyConfig, LensConfig, LensMiddleware, lens_admin
from tests.attack.corpus import SCRIPTS

KEY = "the-key-of-the-hostile-app"
KEY_NAME = SCRIPTS[0]
WHOLE = "".join(SCRIPTS).replace("{", "").replace("}", "").replace("\n", "")


def caller_of(scope: Mapping[str, Any]) -> str | None:
    """The caller that a request names itself."""
    name = dict(scope["headers"]).get(b"x-caller")
    return None if name is None else unquote(name.decode("latin-1"))


app = FastAPI(title=SCRIPTS[1])
app.add_middleware(
    LensMiddleware,
    config=LensConfig(
        report_keys={KEY_NAME: KEY, SCRIPTS[3]: KeyConfig("another", scope="read")},
        app_name=SCRIPTS[0],
        environment=SCRIPTS[1],
        release=SCRIPTS[3],
        flush_interval=0.2,
        log_sample_rate=1.0,
        log_query_values=True,
        log_slowest=0,
        login_max_failures=1_000,
        consumer=caller_of,
    ),
)
app.include_router(lens_admin)


def add(path: str, text: str) -> None:
    """An endpoint whose every word is this text."""

    def handler() -> None:
        return None

    handler.__doc__ = handler.__qualname__ = handler.__name__ = text
    app.add_api_route(
        path, handler, tags=[text], name=text, summary=text, operation_id=text, methods=["GET"]
    )


for _script in (*SCRIPTS, WHOLE):
    add("/named/" + _script.replace("{", "").replace("}", ""), _script)


@app.get("/crash/{number}")
def crash(number: int, request: Request) -> None:
    """Raises an error whose class and message are both scripts."""
    text = (*SCRIPTS, WHOLE)[number]
    kind: Any = type(text, (RuntimeError,), {"__module__": text})
    raise kind(text) from ValueError(text)


@app.api_route("/any/{rest:path}", methods=["GET", "POST"])
def anything(rest: str) -> str:
    """Takes every path."""
    return rest
