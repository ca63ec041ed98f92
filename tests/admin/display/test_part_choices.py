from dataclasses import replace

import pytest

from fastapi_lens.admin.display.part_choices import PartChoice, part_choices
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.reporting.model import Endpoint
from tests.admin.make import endpoint

pytestmark = pytest.mark.unit


def of(path: str, *tags: str, source: str = "") -> Endpoint:
    return replace(endpoint(path, tags=tags), source=source)


EVERY = [
    of("/v2/orders", "orders", source="shop/api/orders.py:7"),
    of("/v2/orders/{id}", "orders", source="shop/api/orders.py:19"),
    of("/v2/carts/{id}", "carts", "new", source="shop/api/carts.py:3"),
    of("/health"),
    of("{rest:path}"),
    of("/"),
]


def values(found: PartChoice) -> list[str]:
    return [value for value, _ in found.options]


def test_tags_prefixes_and_files_are_offered_in_order() -> None:
    tag, prefix, file = part_choices(EVERY, OverviewQuery())
    assert (tag.name, values(tag), tag.current) == ("tag", ["carts", "new", "orders"], "")
    assert (prefix.name, values(prefix)) == ("prefix", ["/v2", "/v2/orders"])
    assert (file.name, file.options) == (
        "file",
        [("shop/api/carts.py", "api/carts.py"), ("shop/api/orders.py", "api/orders.py")],
    )


def test_a_prefix_of_all_or_of_one_is_none() -> None:
    both = [of("/v1/a/{x}"), of("/v1/a/{y}/b")]
    assert part_choices(both, OverviewQuery()) == []


def test_what_all_endpoints_have_leaves_nothing_out_and_is_no_choice() -> None:
    both = [of("/a", "all", source="shop.py:7"), of("/b", "all", "some", source="shop.py:9")]
    (tag,) = part_choices(both, OverviewQuery())
    assert values(tag) == ["some"]
    _, file = part_choices([*both, of("/c", "all", "some")], OverviewQuery())
    assert values(file) == ["shop.py"]


def test_what_is_chosen_stays_even_if_nothing_has_it_any_longer() -> None:
    (tag,) = part_choices([of("/a")], OverviewQuery(tag="gone"))
    assert (tag.current, tag.options) == ("gone", [("gone", "gone")])


def test_an_application_without_endpoints_has_no_choice() -> None:
    assert part_choices([], OverviewQuery()) == []
