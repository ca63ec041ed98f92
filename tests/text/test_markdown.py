"""Texts inside Markdown stay what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.text.markdown import backslashed, code, escaped

pytestmark = pytest.mark.unit


def test_special_characters_are_escaped() -> None:
    assert escaped("a_b [x](http://evil) <b> &lt; #1") == (
        r"a\_b \[x\]\(http:&#8203;//evil\) \<b\> \&lt; \#&#8203;1"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cc @octocat", "cc @&#8203;octocat"),
        ("owner/name#12", r"owner/name\#&#8203;12"),
        ("GH-12", "GH-&#8203;12"),
        ("see www.evil.example", "see www.&#8203;evil.example"),
        ("HTTPS://evil.example", "HTTPS:&#8203;//evil.example"),
        ("high-12 awww.x a:b", "high-12 awww.x a:b"),
    ],
)
def test_nobody_is_mentioned_and_nothing_is_linked(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_text_in_a_code_element_can_be_copied_as_it_is() -> None:
    assert backslashed("GET /users/@me#|") == r"GET /users/@me\#\|"


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
