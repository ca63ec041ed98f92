"""fastapi-users: its routes are counted, and its users are those of the admin."""

import asyncio

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from tests.frameworks.recipes.conftest import Recipe

PERSON = {"email": "ann@shop.example", "password": "a long password"}
LOGIN = {"username": PERSON["email"], "password": PERSON["password"]}


def https(recipe: Recipe) -> TestClient:
    """A client that sends cookies that are marked Secure."""
    return recipe.client(base_url="https://testserver")


def test_its_routes_and_guarded_ones_are_counted_by_status(recipe: Recipe) -> None:
    with https(recipe) as client:
        statuses = [
            client.get("/orders").status_code,
            client.post("/auth/register", json=PERSON).status_code,
            client.post("/auth/register", json=PERSON).status_code,
            client.post("/auth/login", data={**LOGIN, "password": "wrong"}).status_code,
            client.post("/auth/login", data=LOGIN).status_code,
            client.get("/orders").status_code,
            client.post("/auth/logout").status_code,
        ]

    assert statuses == [401, 201, 400, 400, 204, 200, 204]
    assert recipe.counted() == {
        "GET /orders": {401: 1, 200: 1},
        "POST /auth/register": {201: 1, 400: 1},
        "POST /auth/login": {400: 1, 204: 1},
        "POST /auth/logout": {204: 1},
    }


@pytest.mark.parametrize("is_superuser", [False, True])
def test_its_users_look_at_the_admin_and_superusers_change_it(
    recipe: Recipe, *, is_superuser: bool
) -> None:
    user, sessions = recipe.module.User, recipe.module.sessions

    async def set_superuser() -> None:
        async with sessions.begin() as session:
            await session.execute(update(user).values(is_superuser=is_superuser))

    with https(recipe) as client:
        client.post("/auth/register", json=PERSON)
        asyncio.run(set_superuser())
        before = client.get("/lens/endpoints").status_code
        client.post("/auth/login", data=LOGIN)
        page = client.get("/lens/settings")
        client.post("/auth/logout")
        after = client.get("/lens/endpoints").status_code

    assert (before, page.status_code, after) == (403, 200, 403)
    assert PERSON["email"] in page.text
    assert ("Read only" in page.text) is not is_superuser
