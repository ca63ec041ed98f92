"""prometheus-fastapi-instrumentator: two middlewares that count the same requests."""

import re

from tests.frameworks.recipes.conftest import Recipe

LINE = re.compile(r'^http_requests_total\{handler="([^"]+)",method="(\w+)",status="(\w+)"\} (\S+)$')


def test_both_count_the_same_requests_under_the_same_templates(recipe: Recipe) -> None:
    with recipe.client() as client:
        for order in (1, 2, 3, 5000):
            client.get(f"/v1/orders/{order}")
        client.get("/nowhere")
        client.get("/lens/login")
        metrics = client.get("/metrics").text

    found = {match.groups() for line in metrics.splitlines() if (match := LINE.match(line))}
    assert found == {
        ("/v1/orders/{order_id}", "GET", "2xx", "3.0"),
        ("/v1/orders/{order_id}", "GET", "4xx", "1.0"),
        ("none", "GET", "4xx", "1.0"),
    }
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {200: 3, 404: 1}}
    assert "GET /metrics" not in recipe.endpoints()
