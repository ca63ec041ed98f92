"""Sources of handlers are divided into file and line."""

import pytest

from fastapi_lens.text.sources import file_and_line

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("source", "file", "line"),
    [
        ("shop/carts.py:88", "shop/carts.py", 88),
        ("shop/carts.py", "shop/carts.py", None),
        (r"C:\shop\carts.py:88", r"C:\shop\carts.py", 88),
        (r"C:\shop\carts.py", r"C:\shop\carts.py", None),
        ("a:b:c", "a:b:c", None),
        ("a:²", "a:²", None),
        ("a\nb:1", "a\nb", 1),
        (":7", "", 7),
        ("", "", None),
    ],
)
def test_only_a_number_at_the_end_is_a_line(source: str, file: str, line: int | None) -> None:
    assert file_and_line(source) == (file, line)
