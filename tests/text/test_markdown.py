"""Texts inside Markdown stay what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.text.markdown import code, escaped

pytestmark = pytest.mark.unit


def test_special_characters_are_escaped() -> None:
    assert escaped("a_b [x](http://evil) <b> &lt; #1") == (
        r"a\_b \[x\]\(http://evil\) \<b\> \&lt; \#1"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /a", "`GET /a`"),
        ("a`b", "``a`b``"),
        ("``", "``` `` ```"),
        (" a", "`  a `"),
    ],
)
def test_code_is_fenced_by_more_backticks_than_it_has(text: str, shown: str) -> None:
    assert code(text) == shown


@given(st.text(alphabet="`a \n", min_size=1, max_size=12))
def test_code_is_one_line_and_ends_with_its_own_fence_alone(text: str) -> None:
    shown = code(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert "\n" not in shown
    assert shown.endswith(fence)
    assert fence not in shown[len(fence) : -len(fence)]
