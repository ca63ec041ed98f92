from fastapi_lens import LensConfig
from fastapi_lens.reporting.settings import Settings
from fastapi_lens.reporting.status import Thresholds
from fastapi_lens.storage.settings import Stored

CONFIG = LensConfig(db_path=":memory:", ttl_days=90, slow_threshold_ms=250)


def test_without_stored_sections_the_code_is_right() -> None:
    settings = Settings.of(CONFIG)
    assert settings.ttl_days == 90
    assert settings.thresholds == Thresholds(7, 30)
    assert settings.slow_threshold_ms == 250
    assert settings.versions == {}


def test_what_is_stored_wins_and_the_rest_stays() -> None:
    stored = {
        "thresholds": Stored({"dead_threshold_days": 60}, 3),
        "retention": Stored({"ttl_days": None}, 1),
    }
    settings = Settings.of(CONFIG, stored)
    assert settings.ttl_days is None
    assert settings.thresholds == Thresholds(7, 60)
    assert settings.versions == {"thresholds": 3, "retention": 1}


def test_the_log_is_kept_as_the_code_says_until_something_else_is_stored() -> None:
    assert Settings.of(CONFIG).log.log_max_rows == 10_000

    stored = {"recording": Stored({"log_clients": "masked", "log_sample_rate": 1.0}, 1)}
    log = Settings.of(CONFIG, stored).log

    assert (log.log_clients, log.log_sample_rate, log.log_max_rows) == ("masked", 1.0, 10_000)
