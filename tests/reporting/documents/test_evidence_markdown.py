"""Evidence as Markdown for a pull request."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fastapi_lens.reporting.documents.evidence_markdown import markdown
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.text.escaping import visible
from fastapi_lens.verdict.days import day_of
from fastapi_lens.verdict.history import History, Keep, KeepSource
from tests.support.judged import judge

pytestmark = pytest.mark.unit

TODAY = day_of(date(2026, 11, 30))
OBSERVED = Observation(TODAY - 811, TODAY, ((TODAY - 300, TODAY - 300), (TODAY - 9, TODAY - 8)), 3)


def history(*days: int, **facts: object) -> History:
    since = TODAY - 900
    used = tuple(sorted(TODAY - day for day in days))
    return History(TODAY, since, since, used, **facts)  # type: ignore[arg-type]


def written(*endpoints: Judged, observation: Observation = OBSERVED, app: str = "Orders") -> str:
    evidence = AppEvidence(observation=observation, releases=(), endpoints=endpoints)
    return "".join(markdown(evidence, endpoints, app=app))


def test_endpoints_are_grouped_by_file_with_their_lines() -> None:
    text = written(
        judge(history(), path="/b", source="shop/carts.py:88"),
        judge(history(), path="/c", source="shop/carts.py:9"),
        judge(history(), path="/a"),
        judge(history(), path="/d", source="shop/a.py:1"),
    )
    order = ["### Without a known file", "`GET /a`: ", "### `shop/a.py`", "`GET /d`, line 1: "]
    order += ["### `shop/carts.py`", "`GET /c`, line 9: ", "`GET /b`, line 88: "]
    assert [text.index(one) for one in order] == sorted(text.index(one) for one in order)
    assert text.count("###") == 3


def test_each_has_its_verdict_last_use_evidence_and_releases() -> None:
    text = written(
        judge(history(*range(500, 800)), introduced="1.0", last_called="1.9"),
        judge(history(), path="/never"),
    )
    assert text.startswith("## Endpoints of Orders\n\nObserved for 809 of 812 days, from ")
    assert "Not observed, and not taken as silence: 2026-02-03, 2026-11-21 to 2026-11-22." in text
    assert "- [ ] `GET /a`: **Safe to remove since " in text
    assert "**; last used on 2025-07-18\n  - No use for 500 days; all of them were observed.\n" in (
        text
    )
    assert "  - In the code since release 1.0; last called in 1.9.\n" in text
    assert "**; never used\n" in text


def test_what_watching_cannot_tell_is_said_once_and_only_of_what_may_go() -> None:
    unused = [judge(history(), path=f"/{name}") for name in "ab"]
    assert written(*unused).count("Watching cannot tell") == 1
    assert written(*unused).endswith("once a year.\n")
    assert "Watching" not in written(judge(history(1, 2, 3)))


def test_texts_of_people_cannot_write_markdown() -> None:
    keep = Keep("see [x](http://evil) <img>", TODAY + 9, KeepSource.ADMIN)
    text = written(judge(history(keeps=(keep,)), path="/`a`"), app="<b>")
    assert r"see \[x\]\(http:&#8203;//evil\) \<img\>" in text
    assert "`` GET /`a` ``" in text
    assert text.startswith("## Endpoints of \\<b\\>\n")


def test_no_endpoint_and_no_observation_are_said() -> None:
    whole = written(observation=Observation(TODAY - 9, TODAY))
    assert "Observed for 10 of 10 days, from 2026-11-21 to 2026-11-30 (UTC).\n\nNone." in whole
    text = written(observation=Observation(None, TODAY))
    assert text == "## Endpoints of Orders\n\nNo time was observed up to 2026-11-30.\n\nNone.\n"


HOSTILE = st.text(alphabet="`~|#*_[]()<>&\\\n\r \t-+.1ab\u2028\u202e", max_size=20)


@given(path=HOSTILE, file=HOSTILE, name=HOSTILE)
def test_no_text_of_the_application_changes_the_structure(path: str, file: str, name: str) -> None:
    endpoint = judge(history(500), path=f"/{path}", source=f"a{file}:7", introduced=f"1{name}")
    callers = {endpoint.endpoint.id: [f"c{name}"]}
    evidence = AppEvidence(observation=OBSERVED, releases=(), endpoints=(endpoint,))
    lines = markdown(evidence, [endpoint], app=f"shop {name}", callers=callers)
    tokens = MarkdownIt().enable("table").parse("".join(lines))
    # Two headings, one list with one item, and below it a list of sentences.
    assert [one.tag for one in tokens if one.type == "heading_open"] == ["h2", "h3"]
    items = [one.level for one in tokens if one.type == "list_item_open"]
    assert items.count(min(items)) == 1
    assert len(set(items)) == 2
    assert {one.type for one in tokens} & {"fence", "code_block", "html_block", "table_open"} == (
        set()
    )
    spans = [one for token in tokens for one in token.children or () if one.type == "code_inline"]
    assert [one.content for one in spans] == [visible(f"a{file}"), f"GET {visible(f'/{path}')}"]
