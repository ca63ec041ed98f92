import re

import pytest

from fastapi_lens.admin.access.csrf import is_masked, masked
from tests.admin.conftest import Site
from tests.admin.test_response_cache import MakeSite
from tests.support.pages import csrf_token

TOKEN = "0123456789abcdef0123456789abcdef"
SAME = {"Origin": "http://testserver"}
KEY = "correct horse"


def test_a_token_looks_different_each_time_and_is_known_each_time() -> None:
    tokens = [masked(TOKEN) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert all(re.fullmatch("[0-9a-f]{128}", one) for one in tokens)
    assert all(is_masked(one, TOKEN) for one in tokens)


def test_nothing_else_is_taken_for_a_token() -> None:
    right = masked(TOKEN)
    for wrong in (
        "",
        "0",
        "zz",
        "é" * 4,
        TOKEN,
        right[:-2],
        right.upper(),
        right + "00",
        right[::-1],
    ):
        assert not is_masked(wrong, TOKEN)


def signed_in(make_site: MakeSite) -> Site:
    site = make_site(report_key=KEY)
    form = {"key": KEY, "next": ""}
    assert site.client.post("/lens/login", data=form, headers=SAME).status_code == 303
    return site


@pytest.mark.parametrize("path", ["/lens/", "/lens/settings", "/lens/settings/danger"])
def test_each_answer_has_a_token_of_its_own_and_all_of_them_count(
    make_site: MakeSite, path: str
) -> None:
    site = signed_in(make_site)
    found = [csrf_token(site.get(path).text) for _ in range(2)]
    assert found[0] != found[1]
    for token in found:
        assert re.fullmatch("[0-9a-f]{128}", token)
        form = {"csrf_token": token}
        answer = site.client.post("/lens/settings/limits", data=form, headers=SAME)
        assert answer.status_code != 403


def test_a_page_goes_out_compressed_for_who_takes_that(site: Site) -> None:
    plain = site.get(**{"Accept-Encoding": "identity"})
    packed = site.get(**{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.text == plain.text
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "content-encoding" not in site.get("/lens/endpoints.csv").headers
