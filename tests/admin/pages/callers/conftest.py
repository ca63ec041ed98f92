"""A site with callers of different habits."""

from collections.abc import Callable

import pytest

from benchmarks.support.rows import caller
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.writing.batches import CallerFacts
from tests.admin.conftest import Site

DAY = 86_400


def named(name: str, kind: CallerKind = CallerKind.HOOK) -> CallerFacts:
    """A caller of the site."""
    return caller(name, kind, "site")


BILLING = named("billing-service")
WEB = named("web")
KEY = named("0123456789ab" + "a3f9", CallerKind.KEY)
PROBE = named("kube-probe", CallerKind.AGENT)
NOBODY = named("", CallerKind.NONE)


@pytest.fixture
def called(make_site: Callable[..., Site]) -> Site:
    """A site that five callers use."""
    site = make_site(callers="agent")
    now = site.lens.clock()
    for day in (40, 33, 2):
        site.count_at(now - day * DAY, "GET", "/users/{user_id}", 10, by=BILLING)
    site.count_at(now - 2 * DAY, "POST", "/users", 1, status=422, by=BILLING)
    site.count_at(now - 1 * DAY, "POST", "/users", 3, by=BILLING)
    site.count_at(now - 1 * DAY, "POST", "/users", 1, status=500, by=BILLING)
    site.count_at(now - 7_200, "GET", "/users/{user_id}", 4, by=WEB)
    site.count_at(now - 3 * DAY, "GET", "/users/{user_id}", 2, by=KEY)
    site.count_at(now - DAY, "GET", "/health", 500, by=PROBE)
    return site


def key_of(site: Site, path: str) -> str:
    """The key of the endpoint at a path."""
    found = site.lens.reader.evidence(site.lens.clock()).endpoints
    return next(one.endpoint.key for one in found if one.endpoint.path == path)


def page_of(who: CallerFacts) -> str:
    """The address of a caller's page."""
    return f"/lens/callers/{who.id:016x}"
