"""After a run with known keys, given in every way there is, none is left anywhere."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.servers import uvicorn
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from tests.attack.fuzzing import table
from tests.attack.guarded import HASH, HASHED, PLAIN, WRONG
from tests.cli.helpers import run as run_command
from tests.recording.probe import lens_of
from tests.support.pages import tables

ROOT = Path(__file__).parents[2]
KEYS = {"plain": PLAIN, "hashed": HASHED, "wrong": WRONG, "hash": HASH.rpartition("$")[2]}


class Run:
    """Output of a run: texts by source, and the secrets that they must not contain."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.left: dict[str, str] = {}
        self.secrets = dict(KEYS)

    def keep(self, answer: httpx.Response) -> httpx.Response:
        """An answer: its body, and all headers but the cookie that is set."""
        headers = [(n, v) for n, v in answer.headers.multi_items() if n != "set-cookie"]
        self.left[f"{len(self.left)} {answer.request.url.path}"] = f"{headers}\n{answer.text}"
        return answer

    def found(self) -> list[str]:
        """Where a secret is."""
        return [
            f"{name} in {place}"
            for name, secret in self.secrets.items()
            for place, text in self.left.items()
            for form in {secret, quote(secret, safe=""), secret.encode().hex()}
            if form in text
        ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A server that was given the keys in every way, and has ended."""
    folder = tmp_path_factory.mktemp("secrets")
    args = ["--app-dir", str(ROOT), "--log-level", "debug"]
    done = Run()
    with uvicorn("tests.attack.guarded:app", cwd=folder, args=args) as server:
        # A connection each, since uvicorn closes that of a request that has crashed.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=server.url, limits=limits) as client:
            for key in (PLAIN, HASHED, WRONG):
                give(done, client, key)
        with httpx.Client(base_url=server.url, headers={"Origin": server.url}) as client:
            look_at_everything(done, client)
        done.left["output of the server"] = server.log
    for file in folder.glob("lens.db*"):
        done.left[file.name] = file.read_bytes().decode("latin-1")
    for form in ("json", "csv"):
        printed = run_command("report", "--database", folder / "lens.db", "--format", form)
        assert printed.exit_code == 0, printed.output
        done.left[f"report as {form}"] = printed.output
    return done


def give(done: Run, client: httpx.Client, key: str) -> None:
    """A key by header, bearer, form, address and cookie, to the admin and to the application."""

    def send(method: str, path: str, **more: Any) -> None:
        client.cookies.clear()
        done.keep(client.request(method, path, **more))

    for path in ("/lens/", "/lens/report", "/lens/nothing", "/lens/settings", "/own", "/crash"):
        send("GET", path, headers={"X-Lens-Key": key})
        send("GET", path, headers={"X-Lens-Key": key, "Authorization": f"Bearer {key}"})
        send("GET", path, headers={"X-Lens-Key": key, "Cookie": f"lens_session={key}; own={key}"})
    for name in ("report_key", "report%5Fkey", "token"):
        send("GET", f"/own?{name}={key}")
    for path in ("/lens", "/lens/", "/lens/dashboard", "/lens/login", "/lens/report", "/lens/x"):
        send("GET", f"{path}?a=1&report_key={key}&b=2")
        send("GET", f"{path}?report%5Fkey={key}", headers={"HX-Request": "true"})
    for form in ({"key": key}, {"key": key, "next": "/lens/?q=1"}, {"report_key": key}):
        send("POST", "/lens/login", data=form, headers={"Origin": str(client.base_url).rstrip("/")})
        send("POST", "/lens/login", data=form)
        send("POST", "/own", data=form)


def look_at_everything(done: Run, client: httpx.Client) -> None:
    """Sign in, and keep every page."""
    done.keep(client.post("/lens/login", data={"key": PLAIN}))
    (session,) = client.cookies.values()
    done.secrets["session"] = session.rpartition(".")[2]

    def logged() -> bool:
        text = client.get("/lens/requests.csv").text
        return text.count("/crash") >= 9 and text.count("/own") >= 9

    wait_until(logged, what="the requests in the log")
    for path in table():
        done.keep(client.get(f"/lens{path}".replace("{}", "retention")))
    done.keep(client.get("/lens/requests.json"))
    for page in ("", "requests", "exceptions"):
        text = client.get(f"/lens/{page}").text
        rows = {
            one.href for table in tables(text).values() for row in table.rows for one in row.links
        }
        for address in sorted(rows)[:12]:
            done.keep(client.get(address))


def test_no_key_is_left_in_a_log_the_database_a_page_an_address_or_a_report(run: Run) -> None:
    places = " ".join(run.left)
    assert all(word in places for word in ("lens.db", "output", "/exceptions/", "/settings", "csv"))
    output = run.left["output of the server"].splitlines()
    ours = [line for line in output if "/lens" in line]
    assert len(ours) > 50
    assert "Traceback" in run.left["output of the server"]
    assert "characters" in "".join(
        text for place, text in run.left.items() if "/exceptions" in place
    )
    # What the application's own server writes of the application's own requests is its own.
    run.left["output of the server"] = "\n".join(line for line in output if "/own?" not in line)
    assert len(output) > len(run.left["output of the server"].splitlines())
    assert run.found() == []


def test_the_search_sees_a_key() -> None:
    seen = Run()
    seen.left = {"here": f"x{PLAIN}y", "there": quote(HASH.rpartition("$")[2])}
    assert seen.found() == ["plain in here", "hash in there"]


def test_the_password_of_a_database_that_is_down_is_told_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = "postgresql://lens:the-password-of-the-database@127.0.0.1:1/lens?connect_timeout=1"
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=LensConfig(database_url=url, report_key=PLAIN))
    app.include_router(lens_admin)
    client = TestClient(app, headers={"X-Lens-Key": PLAIN})
    told = ""
    for path in ("/lens/", "/lens/report", "/lens/login", "/lens/settings"):
        answer = client.get(path)
        assert answer.status_code == 503
        told += answer.text
    lens = lens_of(app)
    assert not lens.flusher.flush()
    told += caplog.text + repr(lens.config)
    lens.stop()
    assert "127.0.0.1" in caplog.text
    assert "the-password-of-the-database" not in told + caplog.text
    assert PLAIN not in told + caplog.text
