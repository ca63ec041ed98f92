"""An application with an admin to attack, and everything that opens it. Attacks nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import KeyConfig, LensConfig, LensMiddleware, lens_admin
from fastapi_lens.reporting.log.request_log import LogFilter
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from tests.attack.asgi import Caller, Header
from tests.recording.probe import lens_of
from tests.support.pages import csrf_token

# Put together, because hypothesis sends the texts that it finds in the source.
KEY, READ_KEY = (f"the-fuzzed-key-{scope}" for scope in ("admin", "read"))
INSIDE = f"/{len(KEY)}-things-for-those-who-may-look"
ORIGIN = "http://testserver"
FORM: Header = (b"content-type", b"application/x-www-form-urlencoded")
REPORT_PATH = "/reports/of-their-own"


@dataclass
class Target:
    """An application with an admin, and what opens it.

    Attributes:
        good: Headers of somebody who may look, by name.
        token: Goes into the forms of the session among them.
        ids: Keys of endpoints, requests and exceptions that are there.
    """

    call: Caller
    lens: Lens
    good: dict[str, Header]
    token: str
    ids: list[str]

    @property
    def local(self) -> bool:
        """True if only this machine is answered."""
        config = self.lens.config
        return not config.key_required and config.security_enabled is None

    def close(self) -> None:
        """Stop everything."""
        self.call.close()
        self.lens.stop()


def build(folder: Path, *, key: str = KEY, **settings: Any) -> Target:
    """The application, with a request and an exception in its log.

    Args:
        folder: Of its database.
        key: With the scope admin.
        settings: Of the lens.
    """
    app = FastAPI(title="fuzzed")

    @app.get("/crash/{what}")
    def crash(what: str) -> None:
        raise LookupError(what)

    app.add_api_route(INSIDE, lambda: None, tags=["in & out"])
    config = LensConfig(
        **{
            "db_path": str(folder / "lens.db"),
            "app_name": "fuzzed",
            "report_keys": {"root": key, "ci": KeyConfig(READ_KEY, scope="read")},
            "report_path": REPORT_PATH,
            "flush_interval": 3600.0,
            "login_max_failures": 1_000_000_000,
            "log_sample_rate": 1.0,
            **settings,
        }
    )
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.get(INSIDE)
    client.get("/crash/it?secret=1")
    lens = lens_of(app)
    assert lens.flusher.flush()
    if not config.key_required:
        return Target(Caller(app), lens, {}, "", ids_of(lens))
    cookie = client.post("/lens/login", data={"key": key}, headers={"origin": ORIGIN}).headers
    session = cookie["set-cookie"].partition(";")[0]
    client.cookies.clear()
    page = client.get("/lens/", headers={"Cookie": session}).text
    token = csrf_token(page)
    good = {
        "key": (b"x-lens-key", key.encode()),
        "read": (b"authorization", f"Bearer {READ_KEY}".encode()),
        "session": (b"cookie", session.encode()),
    }
    return Target(Caller(app), lens, good, token, ids_of(lens))


def ids_of(lens: Lens) -> list[str]:
    """Identifiers that a page can be requested with."""
    reader, endpoints = lens.reader, lens.reader.endpoints
    found = [one.key for one in endpoints(window=Window(), now=lens.clock())]
    calls, exceptions = reader.log.requests(LogFilter()), reader.exception_log.kinds()
    assert calls
    assert exceptions
    return [*found, *(one.key for one in calls), *(one.key for one in exceptions)]
