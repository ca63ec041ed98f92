"""Without a key only this machine is answered: no other name for it, no proxy, no other client."""

from collections.abc import Iterator

import pytest

from tests.attack.asgi import Header, Raw
from tests.attack.fuzzing import table
from tests.attack.target import INSIDE, REPORT_PATH, Target, build

LOCALHOST: Header = (b"host", b"localhost:8000")

HOSTS = (
    *(b"rebound.example", b"127.0.0.1.evil.example", b"localhost.evil.example", b"evil.example:80"),
    *(b"localhost@evil.example", b"evil.example#localhost", b"evil.example/localhost", b"nowhere"),
    *(b"xlocalhost", b"localhost.", b"127.1", b"2130706433", b"0x7f.1", b"[::ffff:127.0.0.1]"),
    *(b"[::]", b"[", b"", b"localhost:80@evil.example", b"\xe2\x93\x9bocalhost", b"10.0.0.7"),
    *(b"evil.localhost.example", b"testserver"),
)

PROXIES = (
    *(b"forwarded", b"x-forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    *(b"x-forwarded-prefix", b"forwarded-for", b"x-real-ip", b"x-client-ip", b"client-ip", b"via"),
    *(b"true-client-ip", b"cf-connecting-ip", b"cf-connecting-ipv6", b"fastly-client-ip"),
    *(b"x-cluster-client-ip", b"x-original-forwarded-for", b"x-original-host", b"x-original-url"),
    *(b"x-envoy-external-address", b"x-appengine-user-ip", b"x-azure-clientip", b"cdn-loop"),
    *(b"x-amz-cf-id", b"x-host", b"x-remote-ip", b"x-remote-addr", b"x-arr-ssl", b"fly-client-ip"),
)

CLIENTS = (
    "10.0.0.7",
    "192.168.1.1",
    "::ffff:10.0.0.7",
    "fe80::1",
    "",
    "localhost",
    "unix",
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("local"), report_keys={})
    yield found
    found.close()


def status(target: Target, *headers: Header, client: str = "127.0.0.1", path: str) -> int:
    answer = target.call(Raw(path=path, headers=headers, client=client))
    assert answer.error is None
    assert INSIDE not in answer.text or answer.status == 200
    return answer.status


@pytest.mark.parametrize("path", ["/lens/", "/lens/report", "/lens/login", "/lens/export.csv"])
def test_nobody_else_is_answered(target: Target, path: str) -> None:
    own = 303 if path == "/lens/login" else 200
    assert status(target, LOCALHOST, path=path) == own
    for host in HOSTS:
        assert (host, status(target, (b"host", host), path=path)) == (host, 403)
    for name in PROXIES:
        assert (name, status(target, LOCALHOST, (name, b"127.0.0.1"), path=path)) == (name, 403)
    for client in CLIENTS:
        assert (client, status(target, LOCALHOST, client=client, path=path)) == (client, 403)
    assert status(target, path=path) == 403  # No Host at all.


def test_that_holds_for_every_path(target: Target) -> None:
    paths = [f"/lens{path}".replace("{}", target.ids[0]) for path in table()]
    rebound: Header = (b"host", b"rebound.example")
    for path in (one for one in [*paths, REPORT_PATH] if "/static/" not in one):
        for method in ("GET", "POST"):
            answer = target.call(Raw(method, path, headers=(rebound,), client="127.0.0.1"))
            assert answer.status in (403, 404, 405), path
            assert INSIDE not in answer.text


def test_what_browsers_send_by_themselves_is_no_sign_of_a_proxy(target: Target) -> None:
    names = (
        *(b"accept", b"accept-language", b"cache-control", b"connection", b"cookie", b"dnt"),
        *(b"priority", b"referer", b"sec-ch-ua-platform", b"sec-fetch-user", b"user-agent"),
        *(b"upgrade-insecure-requests", b"x-requested-with", b"hx-request", b"traceparent"),
    )
    for name in names:
        assert status(target, LOCALHOST, (name, b"x"), path="/lens/") == 200, name
