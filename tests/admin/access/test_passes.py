import pytest

from fastapi_lens.admin.access import verified_keys
from fastapi_lens.admin.access.verified_keys import VerifiedKeyCache

pytestmark = pytest.mark.unit

NOW = 1_775_243_992.25


def test_a_right_key_is_good_for_ten_more_seconds_at_the_same_address() -> None:
    known = VerifiedKeyCache()
    known.note("10.0.0.7", "right", "alice", NOW)
    assert known.name_of("10.0.0.7", b"right", NOW + 9.9) == "alice"
    assert known.name_of("10.0.0.7", "right", NOW + 10) is None
    assert known.name_of("10.0.0.7", "right", NOW - 1) is None
    assert known.name_of("10.0.0.8", "right", NOW) is None
    assert known.name_of("10.0.0.7", "wrong", NOW) is None


def test_only_so_many_are_known_at_a_time() -> None:
    known = VerifiedKeyCache()
    for number in range(verified_keys.MAX_PASSES + 3):
        known.note(f"client {number}", "right", "alice", NOW)
    found = [known.name_of(f"client {number}", "right", NOW) for number in range(5)]
    assert found == [None, None, None, "alice", "alice"]
