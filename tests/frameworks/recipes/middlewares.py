"""CORS, GZip and trusted hosts, as Starlette has them."""

import gzip

from tests.frameworks.recipes.conftest import Recipe

HOST = {"host": "orders.example"}
ORIGIN = {**HOST, "origin": "https://shop.example"}


def test_a_pre_flight_is_answered_and_not_counted_and_its_request_is(recipe: Recipe) -> None:
    asked = {**ORIGIN, "access-control-request-method": "GET"}
    with recipe.client() as client:
        before = client.options("/orders/7", headers=asked)
        refused = client.options("/orders/7", headers={**asked, "origin": "https://other.example"})
        answered = client.get("/orders/7", headers=ORIGIN)

    assert (before.status_code, refused.status_code) == (200, 400)
    assert answered.json() == {"order_id": 7}
    assert answered.headers["access-control-allow-origin"] == "https://shop.example"
    assert recipe.counted() == {"GET /orders/{order_id}": {200: 1}}


def test_a_host_that_is_not_allowed_is_refused_and_not_counted(recipe: Recipe) -> None:
    with recipe.client() as client:
        statuses = [client.get("/orders/7", headers={"host": "other.example"}).status_code]
        statuses += [client.get("/lens/", headers={"host": "other.example"}).status_code]
        statuses += [client.get("/orders/7000", headers=HOST).status_code]

    assert statuses == [400, 400, 404]
    assert recipe.counted() == {"GET /orders/{order_id}": {404: 1}}


def test_a_compressed_stream_counts_once(recipe: Recipe) -> None:
    with recipe.client() as client:
        answered = client.get("/orders.csv", headers=HOST)
        plain = client.get("/orders.csv", headers={**HOST, "accept-encoding": "identity"})

    assert answered.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert answered.text == plain.text
    assert recipe.counted() == {"GET /orders.csv": {200: 2}}


def test_a_page_of_the_admin_is_compressed_once(recipe: Recipe) -> None:
    with recipe.client() as client, client.stream("GET", "/lens/login", headers=HOST) as answered:
        body = b"".join(answered.iter_raw())

    assert answered.status_code == 200
    assert answered.headers["content-encoding"] == "gzip"
    assert b"<html" in gzip.decompress(body)
    assert recipe.counted() == {}
