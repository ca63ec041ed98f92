"""Cadwyn: one endpoint for all versions, and the version as the caller."""

from cadwyn import Cadwyn, Version, VersionBundle, VersionedAPIRouter
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from tests.frameworks.recipes.conftest import Recipe, flushed
from tests.recording.probe import calls_in

ORDER = "/orders/7"
CALLERS = """
SELECT e.method, c.name, u.calls FROM lens_use u
JOIN lens_endpoint e ON e.id = u.endpoint_id JOIN lens_caller c ON c.id = u.caller_id
"""


def status(client: TestClient, method: str, version: str | None) -> int:
    """The status of a request for an order with a version."""
    headers = {} if version is None else {"x-api-version": version}
    return client.request(method, ORDER, headers=headers).status_code


def test_an_endpoint_is_the_same_in_all_versions_and_its_callers_are_the_versions(
    recipe: Recipe,
) -> None:
    with recipe.client() as client:
        statuses = [
            status(client, "GET", "2026-06-01"),
            status(client, "GET", "2025-01-01"),
            # The version before that date.
            status(client, "GET", "2025-12-24"),
            status(client, "DELETE", "2026-06-01"),
            status(client, "DELETE", "2025-01-01"),
            status(client, "GET", None),
        ]
        documented = client.get("/docs?version=2026-06-01")
        assert client.get("/lens/login").status_code == 200

    assert statuses == [200, 200, 200, 200, 405, 404]
    assert documented.status_code == 200
    assert recipe.counted() == {
        "GET /orders/{order_id}": {200: 3},
        "DELETE /orders/{order_id}": {200: 1},
    }
    assert recipe.endpoints() == {"GET /orders/{order_id}", "DELETE /orders/{order_id}"}
    assert sorted(map(tuple, recipe.rows(CALLERS))) == [
        ("DELETE", "2026-06-01", 1),
        ("GET", "2025-01-01", 2),
        ("GET", "2026-06-01", 1),
    ]


def test_with_the_version_in_the_path_it_is_a_parameter_of_the_template() -> None:
    router = VersionedAPIRouter(prefix="/{api_version}")

    @router.get("/orders")
    def read_orders() -> list[int]:
        return []

    app = Cadwyn(
        versions=VersionBundle(Version("2026-06-01"), Version("2025-01-01")),
        api_version_location="path",
        api_version_parameter_name="api_version",
    )
    app.generate_and_include_versioned_routers(router)
    LensMiddleware.setup(app, LensConfig(db_path=":memory:"))
    with TestClient(app) as client:
        assert client.get("/2026-06-01/orders").json() == []
        assert client.get("/2025-01-01/orders").json() == []

    assert calls_in(flushed(app)) == {"/{api_version}/orders": 2}
