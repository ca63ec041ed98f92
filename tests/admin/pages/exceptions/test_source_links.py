"""Links from tracebacks and handlers to the code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fastapi_lens.reporting.log.request_log import LogFilter
from tests.admin.conftest import Site, an_app
from tests.admin.pages.exceptions.conftest import Raising
from tests.support.pages import Link, addresses, link, links, page_text, part

MakeSite = Callable[..., Site]
TRACE = """  File "fastapi_lens/__main__.py", line 3, in main
    raise ValueError
  File "app/<b>&x.py", line 12, in read
ValueError: File "app/fake.py", line 9, in x"""
REPOSITORY = "https://example.com/shop/blob/{release}/{file}#L{line}"


def opened(links: list[Link]) -> list[str]:
    """The addresses of the links to the code."""
    return [one.href for one in links if one.href.startswith(("vscode:", "https://example.com"))]


def page_of(raising: Raising, **facts: Any) -> str:
    key = raising.raise_at(60, place="fastapi_lens/__main__.py:3 in main", **facts)
    text: str = raising.site.get(f"/lens/exceptions/{key}").text
    return text


def test_an_editor_opens_the_files_of_this_machine(make_site: MakeSite) -> None:
    raising = Raising(make_site, source_link="vscode://file/{path}:{line}")
    text = page_of(raising, traceback=TRACE)
    here = Path.cwd().as_posix()
    assert opened(links(text)) == [
        f"vscode://file{here}/fastapi_lens/__main__.py:3",
        f"vscode://file{here}/fastapi_lens/__main__.py:3",
        f"vscode://file{here}/app/%3Cb%3E%26x.py:12",
    ]
    assert (part(text, "lens-traceback") or "").split() == TRACE.split()


def test_a_repository_opens_the_release_that_raised(make_site: MakeSite) -> None:
    raising = Raising(make_site, source_link=REPOSITORY, release="v2")
    text = page_of(raising, traceback=TRACE)
    assert opened(links(text))[0] == (
        "https://example.com/shop/blob/v2/fastapi_lens/__main__.py#L3"
    )


@pytest.mark.parametrize("template", [None, REPOSITORY])
def test_without_a_template_or_a_release_nothing_is_a_link(
    make_site: MakeSite, template: str | None
) -> None:
    raising = Raising(make_site, source_link=template)
    text = page_of(raising, traceback=TRACE)
    assert opened(links(text)) == []
    assert 'File "app/fake.py", line 9' in page_text(text)


def test_the_handler_of_an_endpoint_is_a_link(make_site: MakeSite) -> None:
    site = make_site(source_link="vscode://file/{file}:{line}")
    listed = links(site.get("/lens/endpoints?q=health").text)
    health = next(one.href for one in listed if one.name.startswith("GET /health"))
    (handler,) = opened(listed)
    assert handler.startswith("vscode://file/tests/admin/conftest.py:")
    text = site.get(health).text
    assert handler in addresses(text)
    assert link(text, "Endpoints").current


def test_a_request_links_the_traceback_of_its_exception(make_site: MakeSite) -> None:
    app = an_app()

    @app.get("/crash")
    def crash() -> None:
        raise LookupError("no order")

    site = make_site(app, source_link="vscode://file/{file}:{line}")
    TestClient(app, raise_server_exceptions=False).get("/crash")
    assert site.lens.flusher.flush(ending=True)
    (row,) = site.lens.reader.log.requests(LogFilter())
    (found,) = opened(links(site.get(f"/lens/requests/{row.key}").text))
    assert found.startswith("vscode://file/tests/admin/pages/exceptions/test_source_links.py:")
