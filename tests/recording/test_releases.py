import pytest
from fastapi import __version__ as fastapi_version

from tests.support import releases

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("brought", releases.ALL, ids=lambda brought: brought.what)
def test_a_test_is_left_out_only_where_the_release_lacks_what_it_is_about(
    brought: releases.Brought,
) -> None:
    assert brought.due == brought.there
    assert brought.mark.args == (not brought.there,)


def test_no_test_is_left_out_with_this_release_or_a_newer_one() -> None:
    if releases.numbers(fastapi_version) >= (0, 165):
        assert all(brought.there for brought in releases.ALL)
