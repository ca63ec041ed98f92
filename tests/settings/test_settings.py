from typing import Any

import pytest

from fastapi_lens import ConfigError, LensConfig
from fastapi_lens.settings import settings as of_settings
from fastapi_lens.settings.settings import Settings
from fastapi_lens.settings.status import Thresholds
from fastapi_lens.storage.records.settings import Stored

pytestmark = pytest.mark.unit

CONFIG = LensConfig(db_path=":memory:", ttl_days=90, slow_threshold_ms=250)


def test_without_stored_sections_the_code_is_right() -> None:
    settings = Settings.of(CONFIG)
    assert settings.config.ttl_days == 90
    assert settings.thresholds == Thresholds(7, 30)
    assert settings.slow_threshold_ms == 250
    assert settings.versions == {}


def test_what_is_stored_wins_and_the_rest_stays() -> None:
    stored = {
        "thresholds": Stored({"dead_threshold_days": 60}, 3),
        "retention": Stored({"ttl_days": None}, 1),
    }
    settings = Settings.of(CONFIG, stored)
    assert settings.config.ttl_days is None
    assert settings.thresholds == Thresholds(7, 60)
    assert settings.versions == {"thresholds": 3, "retention": 1}


def test_the_log_is_kept_as_the_code_says_until_something_else_is_stored() -> None:
    assert Settings.of(CONFIG).config.log_max_rows == 10_000

    stored = {"recording": Stored({"log_clients": "masked", "log_sample_rate": 1.0}, 1)}
    log = Settings.of(CONFIG, stored).config

    assert (log.log_clients, log.log_sample_rate, log.log_max_rows) == ("masked", 1.0, 10_000)


def settings_of(**sections: dict[str, Any]) -> Settings:
    return Settings.of(CONFIG, {name: Stored(values, 1) for name, values in sections.items()})


def test_what_cannot_be_used_is_told_and_the_code_holds() -> None:
    settings = settings_of(
        retention={"ttl_days": "soon", "colour": 1},
        thresholds={"slow_threshold_ms": 100, "dead_threshold_days": 3},
    )
    assert settings.config.ttl_days == 90
    assert settings.thresholds == Thresholds(7, 30)
    assert settings.slow_threshold_ms == 100
    assert settings.unusable == (
        "retention: there is no setting colour",
        "retention: ttl_days must be a whole number from 1 to 36,500 or None, not 'soon'",
        "thresholds: dead_threshold_days (3) must be longer than cold_threshold_days (7)",
    )


def test_values_that_are_right_only_together_are_taken_together() -> None:
    both = {"cold_threshold_days": 40, "dead_threshold_days": 60}
    assert settings_of(thresholds=both).thresholds == Thresholds(40, 60)
    alone = settings_of(thresholds={"cold_threshold_days": 40, "slow_threshold_ms": 1})
    assert alone.thresholds == Thresholds(7, 30)
    assert len(alone.unusable) == 1


def test_a_section_that_nobody_can_read_is_told_and_one_of_a_later_release_is_not() -> None:
    settings = Settings.of(
        CONFIG, {"retention": Stored({}, 2, "[1"), "later": Stored({"any": 1}, 1)}
    )
    assert settings.unusable == ("retention: cannot be read",)
    assert settings.versions == {"retention": 2, "later": 1}


def test_days_beyond_a_century_are_refused() -> None:
    with pytest.raises(ConfigError, match="from 1 to 36,500"):
        LensConfig(db_path=":memory:", ttl_days=10**9)


def test_only_so_many_endpoints_are_remembered_and_the_others_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_settings, "MAX_KNOWN", 1)
    settings = Settings.of(LensConfig(exclude_paths=("/internal/**",), exclude_methods=("TRACE",)))
    asked = [("GET", "/internal/a"), ("GET", "/a"), ("TRACE", "/a")]
    for _ in range(2):
        assert [settings.is_included(*one) for one in asked] == [False, True, False]
