"""SQLAdmin: two admins beside each other, with sessions of their own."""

from sqlmodel import SQLModel

from tests.frameworks.recipes.conftest import Recipe

LOGIN = {"username": "ann", "password": "change-me"}


def test_both_admins_are_logged_in_and_out_apart(recipe: Recipe) -> None:
    with recipe.client() as client:
        assert client.post("/admin/login", data=LOGIN).status_code == 302
        assert client.get("/admin/order/list").status_code == 200
        assert client.get("/lens/endpoints").status_code == 303

        form, here = {"key": "choose-a-secret"}, {"origin": "http://testserver"}
        assert client.post("/lens/login", data=form, headers=here).status_code == 303
        assert client.get("/lens/endpoints").status_code == 200
        mine, theirs = sorted(client.cookies)
        assert (mine.startswith("lens_session_"), theirs) == (True, "session")

        assert client.get("/admin/logout").status_code == 302
        assert client.get("/admin/order/list").status_code == 302
        assert client.get("/lens/endpoints").status_code == 200


def test_forms_of_sqladmin_work_and_its_pages_are_not_counted(recipe: Recipe) -> None:
    with recipe.client() as client:
        client.post("/admin/login", data=LOGIN)
        made = client.post("/admin/order/create", data={"customer": "Bob & Sons"})
        listed = client.get("/admin/order/list").text
        style = client.get("/admin/statics/css/main.css")
        assert client.get("/orders").json() == []

    assert made.status_code == 302, made.text
    assert "Bob &amp; Sons" in listed
    assert style.headers["content-type"].startswith("text/css")
    assert recipe.counted() == {"GET /orders": {200: 1}}
    assert recipe.endpoints() == {"GET /orders"}
    assert set(SQLModel.metadata.tables) == {"order"}
