"""Without a key only this machine is answered: no other name for it, no proxy, no other client."""

from collections.abc import Iterator

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tests.attack.asgi import Caller, Header, Raw
from tests.attack.fuzzing import table
from tests.attack.target import INSIDE, REPORT_PATH, Target, build

LOCALHOST: Header = (b"host", b"localhost:8000")

HOSTS = (
    *(b"rebound.example", b"127.0.0.1.evil.example", b"localhost.evil.example", b"evil.example:80"),
    *(b"localhost@evil.example", b"evil.example#localhost", b"evil.example/localhost", b"nowhere"),
    *(b"xlocalhost", b"localhost.", b"127.1", b"2130706433", b"0x7f.1", b"[::ffff:127.0.0.1]"),
    *(b"[::]", b"[", b"", b"localhost:80@evil.example", b"\xe2\x93\x9bocalhost", b"10.0.0.7"),
    *(b"evil.localhost.example", b"testserver", b"[::1].evil", b"evil@localhost", b"localhost:x"),
    *(b"evil/.localhost", b"localhost,localhost", b"localhost\t", b".localhost"),
)

PROXIES = (
    *(b"forwarded", b"x-forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    *(b"x-forwarded-prefix", b"forwarded-for", b"x-real-ip", b"x-client-ip", b"client-ip", b"via"),
    *(b"true-client-ip", b"cf-connecting-ip", b"cf-connecting-ipv6", b"fastly-client-ip"),
    *(b"x-cluster-client-ip", b"x-original-forwarded-for", b"x-original-host", b"x-original-url"),
    *(b"x-envoy-external-address", b"x-appengine-user-ip", b"x-azure-clientip", b"cdn-loop"),
    *(b"x-amz-cf-id", b"x-host", b"x-remote-ip", b"x-remote-addr", b"x-arr-ssl", b"fly-client-ip"),
    *(b"cf-ray", b"x-originating-ip", b"x-varnish", b"tailscale-user-login"),
    *(b"x-nf-client-connection-ip", b"x-vercel-id", b"x_forwarded_for", b"x-forwarded_proto"),
    *(b"x-url-scheme", b"front-end-https", b"fly-forwarded-port", b"remote-addr", b"remote-user"),
    *(b"x-nginx-proxy", b"x-traefik-router", b"x-haproxy-server-state", b"x-script-name"),
    *(b"x-rewrite-url", b"x-remote-user", b"x-auth-request-email", b"x-webauth-user"),
    *(b"x-ssl-client-cert", b"ssl-client-verify", b"x-amzn-trace-id", b"surrogate-capability"),
    *(
        b"akamai-origin-hop",
        b"x-akamai-edgescape",
        b"x-authentik-username",
        b"x-pomerium-claim-sub",
    ),
    *(b"x-tls-client-auth-cert", b"remote_addr"),
)

MACHINE = ("127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1", "::ffff:127.0.0.9", "::FFFF:7F00:1")
"""Its addresses, as a socket gives them that takes IPv4, IPv6 or both."""

CLIENTS = (
    "::ffff:128.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "127.0.0.1:5000",
    "127.1",
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


@pytest.mark.parametrize("path", ["/lens/", "/lens/report", "/lens/login", "/lens/endpoints.csv"])
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
    assert status(target, LOCALHOST, (b"host", b"evil.example"), path=path) == 403
    assert status(target, (b"host", b"evil.example"), LOCALHOST, path=path) == 403


@pytest.mark.parametrize("client", MACHINE)
def test_this_machine_is_answered_by_each_of_its_addresses(target: Target, client: str) -> None:
    for host in (b"localhost:8000", b"127.0.0.1", b"[::1]:8000", b"lens.localhost", b"LocalHost"):
        assert (host, status(target, (b"host", host), client=client, path="/lens/")) == (host, 200)


@pytest.mark.parametrize(
    ("version", "found"),
    [("0.9", 403), ("1.0", 403), ("1", 403), ("", 403), ("1.1", 200), ("2", 200), ("3", 200)],
)
def test_http_1_0_is_what_proxies_speak(target: Target, version: str, found: int) -> None:
    """The default of nginx before 1.29.7, which adds no header that would tell of it."""
    for path in (f"/lens{one}".replace("{}", target.ids[0]) for one in table()):
        if "/static/" not in path:
            raw = Raw(path=path, headers=(LOCALHOST,), client="127.0.0.1", http_version=version)
            answer = target.call(raw)
            assert found == 200 or (path, answer.status) in ((path, 403), (path, 405))
            assert found == 200 or INSIDE not in answer.text
    own: Header = (b"origin", b"http://localhost:8000")
    form = Raw(
        "POST",
        "/lens/settings/danger",
        headers=(LOCALHOST, own),
        body=(b"what=all&confirm=fuzzed",),
        client="127.0.0.1",
        http_version=version,
    )
    answer = target.call(form)
    assert (answer.status == 403) is (found == 403)


def test_http_1_0_is_no_sign_of_anything_where_there_is_a_key(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    keyed = build(tmp_path_factory.mktemp("keyed"))
    raw = Raw(path="/lens/", headers=(LOCALHOST, keyed.good["key"]), http_version="1.0")
    assert keyed.call(raw).status == 200
    keyed.close()


PROXY_SAYS: dict[str, list[Header]] = {
    "x-forwarded-for": [(b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-proto", b"http")],
    "x-forwarded-host": [
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"localhost"),
    ],
    "forwarded": [(b"forwarded", b"for=127.0.0.1;host=localhost")],
}


@pytest.mark.parametrize("said", PROXY_SAYS.values(), ids=PROXY_SAYS)
def test_a_server_that_believes_everybody_makes_nobody_local(
    target: Target, said: list[Header]
) -> None:
    """As with ``--forwarded-allow-ips '*'``: whoever asks writes the address that the app sees."""
    around = (
        ProxyHeadersMiddleware(target.call.app, trusted_hosts="*"),
        ProxyFixMiddleware(target.call.app, mode="legacy"),
        ProxyFixMiddleware(target.call.app, mode="modern"),
    )
    for app in around:
        caller = Caller(app)
        for path in ("/lens/", "/lens/report", REPORT_PATH):
            raw = Raw(path=path, headers=(LOCALHOST, *said), client="10.0.0.7")
            assert caller(raw).status == 403
        caller.close()


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
