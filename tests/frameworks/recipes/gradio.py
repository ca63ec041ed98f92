"""Gradio, mounted: its functions answer, and its routes stay out of the list."""

from tests.frameworks.recipes.conftest import Recipe


def test_a_function_answers_and_only_the_routes_of_the_application_are_counted(
    recipe: Recipe,
) -> None:
    with recipe.client() as client:
        assert client.get("/demo").status_code == 307
        assert client.get("/demo/config").status_code == 200
        called = client.post("/demo/gradio_api/call/greet", json={"data": ["Bob"]})
        answered = client.get(f"/demo/gradio_api/call/greet/{called.json()['event_id']}")
        assert client.get("/orders").json() == []

    assert answered.text == 'event: complete\ndata: ["Hello Bob"]\n\n'
    assert recipe.counted() == {"GET /orders": {200: 1}}
    assert recipe.endpoints() == {"GET /orders"}
