from copy import copy
from dataclasses import FrozenInstanceError
from hmac import compare_digest
from inspect import Parameter, signature
from os.path import basename
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fastapi_lens.config.checks import DRIVERS
from fastapi_lens.config.environment import env_name
from fastapi_lens.config.keys import KeyConfig
from fastapi_lens.config.lens_config import SETTINGS, LensConfig
from fastapi_lens.errors import ConfigError, LensError, SchemaTooNewError, StorageError

pytestmark = pytest.mark.unit

DEFAULTS: dict[str, Any] = {
    name: one.default for name, one in signature(LensConfig).parameters.items()
}
"""As help() and an editor show them; those of the README are compared in tests/docs."""

# Setting, text in the environment, what it means, another value given as an argument.
EXAMPLES = [
    ("db_path", ":memory:", ":memory:", "other.db"),
    ("database_url", "sqlite://", "sqlite://", "postgresql://db.example/lens"),
    ("ttl_days", "90", 90, 7),
    ("security_enabled", "no", False, None),
    ("report_key", "from outside", "from outside", "given"),
    (
        "report_keys",
        '{"ci": {"key": "s", "scope": "read"}}',
        {"ci": KeyConfig("s", "read")},
        {"alice": KeyConfig("t")},
    ),
    ("authorize", "hmac:compare_digest", compare_digest, print),
    ("report_path", "/usage", "/usage", "/calls"),
    ("ignore_unmapped", "0", False, True),
    ("flush_interval", "0.25", 0.25, 2.5),
    ("max_batch_size", "7", 7, 8),
    ("exclude_paths", "/internal/** , /ping,", ("/internal/**", "/ping"), ("**/health",)),
    ("exclude_methods", "head,options", ("HEAD", "OPTIONS"), ("TRACE",)),
    ("cold_threshold_days", "0.5", 0.5, 3),
    ("dead_threshold_days", "60", 60, 90.5),
    ("slow_threshold_ms", "250", 250, 100.5),
    ("log_sample_rate", "0.5", 0.5, 1),
    ("log_errors_per_minute", "0", 0, 600),
    ("log_slowest", "3", 3, 0),
    ("log_max_rows", "500", 500, 1_000_000),
    ("log_query_values", "yes", True, False),
    ("log_clients", "hashed", "hashed", "masked"),
    ("log_exception_messages", "no", False, True),
    ("consumer", "os.path:basename", basename, print),
    ("callers", "agent", "agent", "key"),
    ("caller_header", "X-Client-Id", "X-Client-Id", "authorization"),
    ("noise", "kube-probe, Pingdom,", ("kube-probe", "Pingdom"), ("bot",)),
    ("app_name", "orders", "orders", "stock"),
    ("environment", "production", "production", "demo"),
    ("release", "1.4.2", "1.4.2", "2.0"),
    ("template_dirs", "tests,tests/support", ("tests", "tests/support"), ("fastapi_lens",)),
    ("trusted_origins", "https://a.example", ("https://a.example",), ("http://b.example:81",)),
    ("session_max_age", "3600", 3_600, 60),
    ("session_idle_seconds", "1800", 1_800, 90),
    ("login_max_failures", "9", 9, 3),
    ("login_window_seconds", "60", 60, 30),
    ("idle", "silent", "silent", "unobserved"),
    ("webhook_url", "https://a.example/1", "https://a.example/1", "https://b.example/2"),
    ("webhook_allow_private", "yes", True, False),
    ("source_link", "zed://file/{path}", "zed://file/{path}", "https://a.example/{file}"),
    ("public_url", "https://a.example/lens", "https://a.example/lens", "http://b.example"),
    ("alert_error_share", "0.5", 0.5, None),
    ("alert_slow", "off", False, True),
    ("alert_dead", "off", False, True),
    ("alert_deprecated", "off", False, True),
    ("digest_day", "off", "off", "friday"),
]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders that the settings name are found."""
    monkeypatch.chdir(Path(__file__).parents[2])


async def waiting(scope: Any) -> str:
    """A hook that nobody would await."""
    return str(scope)


class Waiting:
    """The same as an object."""

    async def __call__(self, scope: Any) -> str:
        """Wait."""
        return str(scope)


def as_dict(config: LensConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SETTINGS}


def problem_of(**settings: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        LensConfig(**settings)
    return caught.value.field, caught.value.problem


def test_without_settings_every_value_is_the_default_that_the_signature_shows() -> None:
    assert as_dict(LensConfig()) == DEFAULTS


@pytest.mark.parametrize("value", [True, False])
def test_a_removed_setting_is_refused_with_what_to_do_instead(*, value: bool) -> None:
    name, problem = problem_of(freeze_gc=value)
    assert name == "freeze_gc"
    assert problem.startswith("was removed, ")
    assert "call gc.freeze() in your own start-up" in problem


def test_every_setting_is_tried_here() -> None:
    assert [name for name, *_ in EXAMPLES] == list(DEFAULTS)


@pytest.mark.parametrize(("name", "text", "value"), [each[:3] for each in EXAMPLES])
def test_a_setting_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(env_name(name), text)
    assert as_dict(LensConfig()) == {**DEFAULTS, name: value}


@pytest.mark.parametrize(("name", "text", "_value", "given"), EXAMPLES)
def test_an_argument_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, _value: object, given: Any
) -> None:
    monkeypatch.setenv(env_name(name), text)
    assert as_dict(LensConfig(**{name: given})) == {**DEFAULTS, name: given}


@pytest.mark.parametrize("text", ["", "none", "None", "NULL"])
@pytest.mark.parametrize("name", [name for name, default in DEFAULTS.items() if default is None])
def test_an_empty_variable_stands_for_no_value_where_there_may_be_none(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(env_name(name), text)
    assert getattr(LensConfig(), name) is None


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("true", True), (" Yes ", True), ("ON", True), ("1", True)),
        *(("false", False), ("no", False), ("Off", False), ("0", False)),
    ],
)
def test_a_switch_is_written_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, word: str, *, value: bool
) -> None:
    monkeypatch.setenv("LENS_IGNORE_UNMAPPED", word)
    assert LensConfig().ignore_unmapped is value


def test_every_setting_is_given_by_name() -> None:
    kinds = {one.kind for one in signature(LensConfig).parameters.values()}
    assert kinds == {Parameter.KEYWORD_ONLY}


def test_an_argument_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'flush_intervall'"):
        LensConfig(flush_intervall=3)  # type: ignore[call-arg]


def test_secrets_may_be_secret_strings() -> None:
    config = LensConfig(
        database_url=SecretStr("postgresql://lens:hunter2@db.example/lens"),
        report_key=SecretStr("hunter2"),
        report_keys={"ci": SecretStr("another")},
    )
    assert {name: one.key for name, one in config.keys.items()} == {
        "report_key": "hunter2",
        "ci": "another",
    }
    assert config.url.password == "hunter2"
    assert "hunter2" not in repr(config)


def test_no_keys_may_be_given_as_none() -> None:
    assert LensConfig(report_keys=None).keys == {}


@pytest.mark.parametrize("key", [" k", "k ", "k\n", "k\r\n", "\tk"])
def test_a_key_with_white_space_at_its_ends_is_refused_with_the_fix(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENS_REPORT_KEY", key)
    field, problem = problem_of()
    assert field == "report_key"
    assert "begins or ends with white space or a line break" in problem
    assert "remove it" in problem


def test_a_key_with_a_line_break_is_refused() -> None:
    assert "holds a line break" in problem_of(report_key="two\nlines")[1]


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    config = LensConfig(db_path=tmp_path / "lens.db", template_dirs=[tmp_path])
    assert config.db_path == str(tmp_path / "lens.db")
    assert config.template_dirs == (str(tmp_path),)


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"flush_interval": 0}, "flush_interval", "greater than 0"),
        ({"flush_interval": -1.5}, "flush_interval", "greater than 0, not -1.5"),
        ({"flush_interval": float("nan")}, "flush_interval", "a number greater than 0, not nan"),
        ({"flush_interval": float("inf")}, "flush_interval", "a number greater than 0, not inf"),
        ({"flush_interval": 10**400}, "flush_interval", "a number"),
        ({"flush_interval": "soon"}, "flush_interval", "greater than 0, not 'soon'"),
        ({"flush_interval": None}, "flush_interval", "greater than 0, not None"),
        ({"flush_interval": True}, "flush_interval", "greater than 0, not True"),
        ({"max_batch_size": 0}, "max_batch_size", "greater than 0"),
        ({"max_batch_size": 2.5}, "max_batch_size", "a whole number greater than 0, not 2.5"),
        ({"max_batch_size": "2.5"}, "max_batch_size", "a whole number greater than 0, not '2.5'"),
        ({"max_batch_size": float("inf")}, "max_batch_size", "a whole number"),
        ({"max_batch_size": 10**400}, "max_batch_size", "a whole number"),
        ({"max_batch_size": [100]}, "max_batch_size", "a whole number greater than 0, not [100]"),
        ({"slow_threshold_ms": 0}, "slow_threshold_ms", "greater than 0"),
        ({"log_sample_rate": 1.01}, "log_sample_rate", "must be a share from 0 to 1, not "),
        ({"log_sample_rate": -0.01}, "log_sample_rate", "must be a share from 0 to 1, not "),
        ({"log_errors_per_minute": -1}, "log_errors_per_minute", "a whole number from 0 to 10,000"),
        ({"log_slowest": 10_001}, "log_slowest", "a whole number from 0 to 10,000"),
        ({"log_max_rows": 0}, "log_max_rows", "from 1 to 1,000,000"),
        ({"log_clients": "all"}, "log_clients", "off, masked or hashed, not 'all'"),
        ({"session_max_age": -60}, "session_max_age", "greater than 0"),
        ({"ttl_days": 0}, "ttl_days", "from 1 to 36,500 or None, not 0"),
        ({"ttl_days": 36_501}, "ttl_days", "from 1 to 36,500"),
        ({"dead_threshold_days": 36_501}, "dead_threshold_days", "greater than 0, at most 36,500"),
        ({"ttl_days": 1.5}, "ttl_days", "a whole number"),
        ({"cold_threshold_days": 0}, "cold_threshold_days", "greater than 0"),
        ({"cold_threshold_days": 30}, "dead_threshold_days", "longer than cold_threshold_days"),
        (
            {"cold_threshold_days": 7, "dead_threshold_days": 3.5},
            "dead_threshold_days",
            "(3.5) must be longer than cold_threshold_days (7)",
        ),
        ({"report_key": ""}, "report_key", "is empty"),
        ({"report_key": " \t"}, "report_key", "is empty"),
        ({"security_enabled": True}, "report_key", "must be set when security_enabled is true"),
        ({"security_enabled": "maybe"}, "security_enabled", "true or false, not 'maybe'"),
        ({"security_enabled": 1}, "security_enabled", "true or false, not 1"),
        ({"authorize": 5}, "authorize", "a function of the request"),
        ({"authorize": "hmac:nothing"}, "authorize", "'hmac:nothing', which cannot be imported"),
        ({"authorize": "no.such.module:x"}, "authorize", "write it like myapp.security:may_look"),
        ({"authorize": ":"}, "authorize", "cannot be imported"),
        ({"authorize": "hmac:__name__"}, "authorize", "returns a Scope or None, not str"),
        ({"authorize": print, "report_key": "k"}, "authorize", "decides alone"),
        ({"authorize": print, "report_keys": {"a": "k"}}, "authorize", "decides alone"),
        ({"authorize": print, "security_enabled": False}, "authorize", "decides alone"),
        ({"consumer": 5}, "consumer", "a function of the ASGI scope that returns text or"),
        ({"consumer": "hmac:nothing"}, "consumer", "write it like myapp.callers:name_of"),
        ({"consumer": waiting}, "consumer", "define it with def, not async def"),
        ({"consumer": Waiting()}, "consumer", "define it with def, not async def"),
        ({"callers": "hook"}, "callers", "'hook' without a consumer; set LensConfig(consumer=…)"),
        ({"callers": "all"}, "callers", "must be off, hook, key or agent"),
        ({"caller_header": ""}, "caller_header", "the name of a header, like x-api-key"),
        ({"caller_header": "x api key"}, "caller_header", "without spaces and colons, not 'x api"),
        ({"caller_header": "x-api-key:"}, "caller_header", "not 'x-api-key:'"),
        ({"caller_header": "schlüssel"}, "caller_header", "not 'schlüssel'"),
        ({"noise": "kube-probe"}, "noise", "a list of text"),
        ({"noise": [" "]}, "noise", "names of 1 to 200 characters"),
        ({"noise": ["n" * 201]}, "noise", "names of 1 to 200 characters"),
        ({"noise": ["a,b"]}, "noise", "without commas"),
        ({"noise": ["a\nb"]}, "noise", "control characters, like kube-probe, not 'a\\nb'"),
        ({"noise": ["bot"] * 201}, "noise", "at most 200 names"),
        ({"ignore_unmapped": None}, "ignore_unmapped", "true or false, not None"),
        ({"report_path": "lens/report"}, "report_path", "start with a slash"),
        ({"report_path": "/"}, "report_path", "name a path"),
        ({"report_path": ""}, "report_path", "start with a slash"),
        ({"report_path": "/lens/report/"}, "report_path", "not end with a slash"),
        ({"exclude_paths": "/internal/**"}, "exclude_paths", "a list of text"),
        ({"exclude_paths": 5}, "exclude_paths", "a list of text"),
        ({"exclude_paths": ["internal/**"]}, "exclude_paths", "start with a slash"),
        ({"exclude_paths": ["/a", 5]}, "exclude_paths", "text only, not 5"),
        ({"exclude_methods": ["GET", ""]}, "exclude_methods", "text only, not ''"),
        ({"trusted_origins": ["admin.example.com"]}, "trusted_origins", "https://admin.example"),
        ({"trusted_origins": ["https://a.example/x/"]}, "trusted_origins", "without a path, not"),
        ({"trusted_origins": ["https://a.example//"]}, "trusted_origins", "without a path, not"),
        ({"trusted_origins": ["https://b\u00fccher.example"]}, "trusted_origins", "https://xn--"),
        ({"trusted_origins": ["https://a\u3002example"]}, "trusted_origins", "that browsers send"),
        ({"trusted_origins": ["https://a.example:65536"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://[fe80::1::]"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://*.a.example"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://a.example\n"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["null"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["*"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://a.example?b"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://u:p@a.example"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://[::1"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["https://a.example:port"]}, "trusted_origins", "origins like"),
        ({"trusted_origins": ["ftp://a.example"]}, "trusted_origins", "origins like"),
        ({"app_name": "x" * 201}, "app_name", "at most 200 characters"),
        ({"release": "x" * 201}, "release", "at most 200 characters"),
        ({"app_name": 5}, "app_name", "must be text, not int"),
        ({"template_dirs": ["/no/such/folder"]}, "template_dirs", "not a directory; create it"),
        ({"db_path": "/no/such/folder/lens.db"}, "db_path", "not a directory; create it"),
        ({"db_path": ""}, "db_path", "is empty"),
        ({"db_path": "."}, "db_path", "which is a directory; name a file in it"),
        ({"database_url": "sqlite:////no/such/x.db"}, "database_url", "not a directory; create it"),
        ({"database_url": "sqlite:///."}, "database_url", "which is a directory"),
        ({"database_url": "lens.db"}, "database_url", "unknown scheme ''"),
        ({"database_url": "postgresql:db"}, "database_url", "cannot be read"),
        ({"database_url": "mysql://db.example:port/lens"}, "database_url", "cannot be read"),
    ],
)
def test_a_value_that_cannot_work_names_the_setting_and_the_fix(
    settings: dict[str, Any], field: str, words: str
) -> None:
    found, problem = problem_of(**settings)
    assert found == field
    assert words in problem


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("HTTPS://Admin.Example.com", "https://admin.example.com"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("https://a.example:80", "https://a.example:80"),
        ("https://a.example/", "https://a.example"),
        ("http://a.example:08000", "http://a.example:8000"),
        ("http://A.example.:8000", "http://a.example.:8000"),
        ("http://[FE80::0:1]:80", "http://[fe80::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://LOCALHOST:5173", "http://localhost:5173"),
    ],
)
def test_trusted_origins_are_kept_as_browsers_send_them(
    text: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LensConfig(trusted_origins=(text,)).trusted_origins == (origin,)
    monkeypatch.setenv("LENS_TRUSTED_ORIGINS", f"{text}, http://b.example")
    assert LensConfig().trusted_origins == (origin, "http://b.example")


@given(st.text() | st.from_regex(r"https?://[\w.:\[\]/@-]*"))
def test_a_trusted_origin_is_one_that_stays_as_it_is(text: str) -> None:
    try:
        (origin,) = LensConfig(trusted_origins=(text,)).trusted_origins
    except ConfigError:
        return
    assert LensConfig(trusted_origins=(origin,)).trusted_origins == (origin,)
    assert urlsplit(origin)._replace(scheme="", netloc="") == urlsplit("")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("flush_interval", "", "greater than 0, not ''"),
        ("ttl_days", "a month", "a whole number"),
        ("ignore_unmapped", "", "true or false"),
        ("report_path", "", "start with a slash"),
        ("db_path", "", "is empty"),
        ("trusted_origins", "https://a.example,b", "not 'b'"),
    ],
)
def test_a_wrong_variable_is_refused_like_a_wrong_argument(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    monkeypatch.setenv(env_name(name), text)
    field, problem = problem_of()
    assert field == name
    assert words in problem


def test_an_error_is_one_sentence_and_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^LensConfig\.ttl_days must be a whole number") as caught:
        LensConfig(ttl_days=-1)
    assert isinstance(caught.value, LensError)


def test_an_error_can_be_copied_as_it_is_on_the_way_to_another_process() -> None:
    error = copy(ConfigError("ttl_days", "is wrong"))
    assert (error.field, error.problem) == ("ttl_days", "is wrong")
    assert str(error) == "LensConfig.ttl_days is wrong"
    newer = copy(SchemaTooNewError(3, 1))
    assert (newer.found, newer.known) == (3, 1)
    assert "version 3" in str(newer)
    assert isinstance(newer, StorageError)


@pytest.mark.parametrize(
    "settings",
    [
        {"database_url": "oracle://lens:hunter2@db.example/lens"},
        {"database_url": "hunter2"},
        {"database_url": "mysql://lens:hunter2@db.example:port/lens"},
        {"database_url": "postgresql:lens:hunter2@db.example/lens"},
        {"database_url": b"postgresql://lens:hunter2@db.example/lens"},
        {"report_key": b"hunter2"},
        {"report_key": "hunter2", "ttl_days": 0},
        {"database_url": "postgresql://lens:hunter2@db.example/lens", "ttl_days": 0},
    ],
)
def test_no_error_tells_a_secret(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        LensConfig(**settings)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_keys_that_are_no_json_are_refused_without_repeating_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LENS_REPORT_KEYS", '{"alice": "hunter2"')
    with pytest.raises(ConfigError, match="must be keys by name") as caught:
        LensConfig()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_secrets_are_not_shown() -> None:
    config = LensConfig(report_key="hunter2", database_url="postgresql://lens:hunter2@db.example/x")
    assert "hunter2" not in repr(config) + str(config.url) + repr(config.url)
    assert "ttl_days=None" in repr(config)


def test_nothing_can_be_changed_later() -> None:
    config = LensConfig()
    with pytest.raises(FrozenInstanceError):
        config.ttl_days = 1  # type: ignore[misc]
    assert config == LensConfig()
    assert hash(config) == hash(LensConfig())


@pytest.mark.parametrize("scheme", DRIVERS)
def test_every_scheme_gets_its_driver(scheme: str) -> None:
    url = LensConfig(database_url=f"{scheme}:///lens").url
    assert url.drivername == DRIVERS[scheme]
    assert Path(url.database or "").name == "lens"


def test_a_password_reaches_the_driver() -> None:
    url = LensConfig(database_url="postgres://lens:p%40ss@db.example:5433/lens?a=b").url
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://lens:p%40ss@db.example:5433/lens?a=b"
    )


@pytest.mark.parametrize("name", ["lens.db", "what? 100%20.db", "ü.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    url = LensConfig(db_path=str(tmp_path / name)).url
    assert (url.drivername, url.database) == ("sqlite", str(tmp_path / name))


@pytest.mark.parametrize(
    "settings",
    [
        {"db_path": ":memory:"},
        {"database_url": "sqlite://"},
        {"database_url": "sqlite:///:memory:"},
    ],
)
def test_a_database_in_memory_needs_no_folder(settings: dict[str, str]) -> None:
    assert LensConfig(**settings).url.database in (None, ":memory:")  # type: ignore[arg-type]


def test_a_url_that_names_several_hosts_reaches_the_driver_whole() -> None:
    hosts = "host=db-1:5432&host=db-2:5433&target_session_attrs=read-write"
    url = LensConfig(database_url=f"postgresql://lens:secret@/lens?{hosts}").url
    _, arguments = url.get_dialect()().create_connect_args(url)
    assert {name: arguments[name] for name in ("host", "port", "target_session_attrs")} == {
        "host": "db-1,db-2",
        "port": "5432,5433",
        "target_session_attrs": "read-write",
    }
    assert (arguments["user"], arguments["password"]) == ("lens", "secret")


def test_a_database_url_wins_over_a_path() -> None:
    config = LensConfig(db_path="/no/such/folder/lens.db", database_url="sqlite://")
    assert config.url.database is None


@pytest.mark.parametrize(
    ("enabled", "key", "required"),
    [
        (None, None, False),
        (None, "k", True),
        (True, "k", True),
        (False, None, False),
        (False, "k", False),
    ],
)
def test_the_key_is_asked_for_as_soon_as_there_is_one(
    enabled: bool | None,  # noqa: FBT001  A parameter of the test.
    key: str | None,
    required: bool,  # noqa: FBT001  A parameter of the test.
) -> None:
    assert LensConfig(security_enabled=enabled, report_key=key).key_required is required


def test_with_a_hook_no_key_is_asked_for() -> None:
    for enabled in (None, True):
        assert LensConfig(security_enabled=enabled, authorize=print).key_required is False
