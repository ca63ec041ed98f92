"""A short, seeded run of `make fuzz`, and every request that a long one has ever found wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attack.asgi import HOST, Answer, Raw
from tests.attack.fuzz import fuzz, main
from tests.attack.fuzzing import Attempt, problems
from tests.attack.target import INSIDE, KEY, REPORT_PATH, Target, build

ODD_HOST = ((b"host", b"["),)
ODD_ORIGIN = ((b"host", HOST), (b"origin", b"http://["))

FOUND = {
    "bytes that are no text in a query": Raw(path="/lens/", query=b"q=\xff\xfe"),
    "the same for a report": Raw(path="/lens/report", query=b"\x84"),
    "the same for a page that is not there": Raw(path="/lens/x", query=b"\xdb\xdc"),
    "a host that cannot be taken apart": Raw(path="/lens/", headers=ODD_HOST),
    "an origin that cannot be taken apart": Raw("POST", "/lens/logout", headers=ODD_ORIGIN),
    "a way on that cannot be taken apart": Raw(path="/lens/login", query=b"next=//["),
    "no cache header on a redirect": Raw(path="/lens"),
    "no cache header on a wrong method": Raw("POST", "/lens/endpoints.csv"),
    "a key that a redirect repeats": Raw(path="/lens", query=f"report_key={KEY}".encode()),
    "a key that the way on from another page repeats": Raw(
        "POST", "/lens/logout", query=f"x=%22&report%5fkey={KEY}&a=b".encode()
    ),
    "null characters in a path": Raw(path="/lens/endpoints/%00"),
    "a line break that made the host look for a path": Raw(path="/lens/x%0a/", query=b"\x80"),
    "a line break at the end of a path": Raw(path="/lens/%0a"),
    "a form that says it is longer than it may be": Raw("POST", "/lens/login", body=(b"x",) * 9),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("fuzzed"))
    yield found
    found.close()


@pytest.mark.parametrize("raw", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("who", ["", "session"])
def test_what_was_once_wrong_stays_right(target: Target, raw: Raw, who: str) -> None:
    if who:
        raw = Raw(**{**vars(raw), "headers": (*raw.headers, target.good[who])})
    attempt = Attempt(raw, let_in=bool(who))
    assert problems(attempt, target.call(raw)) == []


def test_the_table_of_pages_and_the_reports_are_fuzzed(target: Target) -> None:
    statuses = fuzz(target, requests=120, start=20_261_126, shrink=False)
    assert statuses.total() == 120
    assert {200, 303, 403, 404, 405} <= set(statuses)


def test_an_open_lens_is_fuzzed(tmp_path: Path) -> None:
    found = build(tmp_path, report_keys={}, security_enabled=False)
    assert fuzz(found, requests=100, start=4_000, shrink=False)[200] > 5
    found.close()


def test_an_admin_without_a_key_is_fuzzed(tmp_path: Path) -> None:
    found = build(tmp_path, report_keys={})
    assert {200, 403} <= set(fuzz(found, requests=150, start=2_000, shrink=False))
    found.close()


def test_the_command_says_how_many_answers_there_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--requests", "5", "--seed", "3"]) == 0
    assert "5 answers" in capsys.readouterr().out


def test_postgresql_is_never_asked_for_what_it_does_not_take(
    tmp_path: Path, postgres_url: str
) -> None:
    found = build(tmp_path, database_url=postgres_url)
    for page in ("", "requests", "exceptions", "requests.csv", "endpoints.csv", "endpoints/%00"):
        for query in (b"q=%00&endpoint=%00", b"q=a%00b&tag=%00", b"q=%ed%a0%80", b"q=\x00"):
            raw = Raw(
                path=f"/lens/{page}", query=query, headers=(*Raw().headers, found.good["key"])
            )
            assert problems(Attempt(raw, let_in=True), found.call(raw)) == []
    found.close()


WRONG: list[tuple[Answer, str]] = [
    (Answer(error=KeyError("x")), "raised KeyError('x')"),
    (Answer(500), "status 500"),
    (Answer(200, body=b"Traceback (most recent call last)"), "leaks 'Traceback (most recent'"),
    (Answer(200, body=KEY.encode()), f"leaks {KEY!r}"),
    (Answer(200, body=INSIDE.encode()), "shows the inside"),
    (Answer(303, [(b"location", b"/lens/\r\nx: y")]), "a line break in a header"),
    (Answer(303, [(b"location", b"//evil.example")]), "leads elsewhere"),
    (Answer(200), "no cache-control"),
    (Answer(200, [(b"content-type", b"text/html")]), "no content-security-policy"),
]


@pytest.mark.parametrize(("answer", "problem"), WRONG)
def test_the_fuzzer_sees_what_is_wrong(answer: Answer, problem: str) -> None:
    assert problem in problems(Attempt(Raw(path="/lens/"), let_in=False), answer)


def test_a_fault_of_ours_gets_an_answer_without_a_word_of_it(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LookupError(KEY)

    later = target.lens.clock() + 600  # Than any answer that is shared.
    monkeypatch.setattr(target.lens, "clock", lambda: later)
    monkeypatch.setattr(target.lens.reader, "endpoints", fail)
    monkeypatch.setattr("fastapi_lens.admin.pages.login.page.safe_next", fail)
    for path in ("/lens/", "/lens/report", REPORT_PATH, "/lens/login", "/lens/endpoints.csv"):
        raw = Raw(path=path, headers=(*Raw().headers, target.good["key"]))
        answer = target.call(raw)
        assert problems(Attempt(raw, let_in=True), answer) == ["status 500"]
        assert "log" in answer.text
