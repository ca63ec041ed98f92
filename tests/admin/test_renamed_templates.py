import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_lens.admin.renamed_templates import RENAMED
from tests.admin.conftest import Site

MakeSite = Callable[..., Site]
TEMPLATES = Path(__file__).parents[2] / "templates" / "fastapi_lens"


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., str]:
    """Writes overrides, given by name and text; returns the directory for the configuration."""

    def write(**overrides: str) -> str:
        for name, text in overrides.items():
            file = tmp_path / "host" / "fastapi_lens" / f"{name}.html"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return str(tmp_path / "host")

    return write


@pytest.mark.parametrize("path", ["/lens/", "/lens/requests", "/lens/settings?do=preview"])
def test_an_override_under_an_old_name_is_refused_with_its_new_name(
    make_site: MakeSite, host: Callable[..., str], path: str
) -> None:
    site = make_site(template_dirs=(host(_endpoints_row="<tr></tr>", failures="none"),))
    page, toast = site.get(path), site.fragment(path)
    assert (page.status_code, toast.status_code) == (500, 500)
    assert toast.text.startswith('<hx-partial hx-target="#lens-toasts"')
    for text in (page.text, toast.text):
        assert (
            "Some templates have new names; an override under an old name has no effect. "
            "Rename fastapi_lens/_endpoints_row.html to fastapi_lens/endpoints/_row.html, "
            "fastapi_lens/failures.html to fastapi_lens/exceptions/page.html, "
            "then restart the application."
        ) in text
        assert str(site.lens.config.template_dirs[0]) not in text


def test_the_log_names_the_new_name_once_under_the_number_of_the_page(
    make_site: MakeSite, host: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(template_dirs=(host(_endpoints_row="<tr></tr>"),))
    with caplog.at_level(logging.ERROR, logger="fastapi_lens"):
        pages = [site.get(path).text for path in ("/lens/", "/lens/", "/lens/requests")]
    numbers = {number for text in pages for number in re.findall(r"<code>(\w{8})</code>", text)}
    (line,) = (one.getMessage() for one in caplog.records if one.levelno == logging.ERROR)
    assert [f"fastapi_lens error {number}: " in line for number in numbers] == [True]
    assert "to fastapi_lens/endpoints/_row.html" in line


def test_reports_and_the_application_go_on_with_an_override_under_an_old_name(
    make_site: MakeSite, host: Callable[..., str]
) -> None:
    site = make_site(template_dirs=(host(_endpoints_row="<tr></tr>"),))
    assert site.get("/lens/report").status_code == 200
    assert site.get("/health").status_code == 200


def test_a_built_in_template_under_its_old_name_is_named_with_the_new_one(
    make_site: MakeSite, host: Callable[..., str]
) -> None:
    override = '{% include "lens_builtin/_endpoints_tabs.html" %}'
    text = make_site(template_dirs=(host(_bar=override),)).get().text
    assert "lens_builtin/_endpoints_tabs.html is now lens_builtin/endpoints/_tabs.html." in text


def test_every_new_name_is_that_of_a_template_and_no_old_name_is() -> None:
    assert [new for new in RENAMED.values() if not (TEMPLATES / new).is_file()] == []
    assert [old for old in RENAMED if (TEMPLATES / old).exists()] == []


def test_no_page_includes_a_template_of_another_page() -> None:
    foreign = [
        (str(file.relative_to(TEMPLATES)), name)
        for file in TEMPLATES.rglob("*.html")
        for name in re.findall(r'"fastapi_lens/(\w+)/', file.read_text(encoding="utf-8"))
        if name != file.parent.name
    ]
    assert foreign == []
