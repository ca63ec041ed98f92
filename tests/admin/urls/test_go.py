import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.urls.go import GoQuery

pytestmark = pytest.mark.unit

queries = st.builds(GoQuery, q=st.text(max_size=300), opens=st.booleans())


@given(queries, st.sampled_from(["", "/lens/go", "https://host/a/lens/go"]))
def test_an_address_gives_back_the_query_that_it_was_made_of(query: GoQuery, path: str) -> None:
    assert GoQuery.parse(query.url(path)) == query


@given(st.text())
def test_whatever_stands_in_the_address_is_a_query_and_its_form_is_stable(text: str) -> None:
    query = GoQuery.parse(f"?{text}")
    assert GoQuery.parse(query.url("/go")) == query


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20", "?open=2", "?open=&q=+"])
def test_what_is_not_offered_is_left_out(query: str) -> None:
    assert GoQuery.parse(query).url("/lens/go") == "/lens/go"


def test_words_are_divided_by_single_spaces() -> None:
    assert GoQuery.parse("?q=+dead++orders+&open=1").url() == "?q=dead+orders&open=1"


def test_a_list_does_not_open_its_first_result() -> None:
    assert GoQuery(q="orders", opens=True).listed() == GoQuery(q="orders")
