"""The example has every kind of endpoint that the demo is to show."""

from itertools import pairwise

import pytest
from fastapi import FastAPI

from example_project.factory import lens_config
from example_project.history import endpoints_of
from example_project.profiles import (
    BATCHES,
    NEVER_CALLED,
    PROFILES,
    QUIET,
    REMOVED,
    UnknownEndpointError,
    check,
)
from example_project.settings import Settings
from fastapi_lens.recording.routes.route_match import Leaf
from fastapi_lens.runtime.lens import Lens


@pytest.fixture
def lens(app: FastAPI, settings: Settings) -> Lens:
    lens = Lens(lens_config(settings))
    lens.discover(app)
    return lens


@pytest.fixture
def leaves(lens: Lens) -> list[Leaf]:
    return lens.routes.leaves


def test_it_has_at_least_32_http_endpoints_under_several_tags(leaves: list[Leaf]) -> None:
    assert sum(len(leaf.methods) for leaf in leaves if leaf.kind == "http") >= 32
    assert len({tag for leaf in leaves for tag in leaf.tags}) >= 8


def test_it_has_a_websocket_static_files_a_mounted_app_and_a_deprecated_version(
    leaves: list[Leaf],
) -> None:
    by_template = {leaf.template: leaf for leaf in leaves}
    assert by_template["/v2/orders/events"].kind == "websocket"
    assert by_template["/static/{path}"].kind == "mount"
    assert by_template["/partner/feed"].kind == "http"
    assert by_template["/v1/orders"].deprecated
    assert not by_template["/v2/orders"].deprecated


def test_routers_are_nested_three_deep(leaves: list[Leaf]) -> None:
    prefixes = ["/v2", "/v2/orders", "/v2/orders/{order_id}/refunds"]
    templates = {leaf.template for leaf in leaves}
    for outer, inner in pairwise(prefixes):
        assert inner.startswith(outer)
        assert inner in templates


def test_every_handler_says_in_one_sentence_what_it_does(leaves: list[Leaf]) -> None:
    handlers = [leaf for leaf in leaves if leaf.kind != "mount"]
    assert [leaf.template for leaf in handlers if not leaf.handler.summary.endswith(".")] == []
    assert all(leaf.handler.source.startswith("example_project/") for leaf in handlers)


def test_every_endpoint_has_a_past_or_is_known_to_have_none(leaves: list[Leaf]) -> None:
    endpoints = endpoints_of(leaves)
    check(endpoints)
    assert not NEVER_CALLED & set(PROFILES)
    # Of the jobs, one hides behind another caller.
    assert set(BATCHES) & set(PROFILES) == {("POST", "/v2/coupons")}
    assert not set(REMOVED) & endpoints
    assert len(QUIET) == 13


def test_a_profile_of_an_endpoint_that_is_not_there_fails_loudly(leaves: list[Leaf]) -> None:
    endpoints = endpoints_of(leaves)
    with pytest.raises(UnknownEndpointError, match=r"does not have: GET /v2/search$"):
        check(endpoints - {("GET", "/v2/search")})
    with pytest.raises(UnknownEndpointError, match=r"lacks endpoints of the app: GET /new$"):
        check(endpoints | {("GET", "/new")})


def test_the_shares_of_no_profile_exceed_all_of_its_calls() -> None:
    for key, profile in PROFILES.items():
        assert sum(profile.errors.values()) + profile.incident_5xx < 1, key
