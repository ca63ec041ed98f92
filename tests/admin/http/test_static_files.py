from pathlib import Path

import pytest

from fastapi_lens.admin.http import static_files
from tests.admin.conftest import Site

OURS = [
    "lens.css",
    "detail.css",
    "settings.css",
    "outside.css",
    "lens.js",
    "icon.svg",
    "vendor/htmx.min.js",
]


@pytest.mark.parametrize("name", OURS)
def test_a_static_file_keeps_for_ever_under_an_address_of_its_content(
    site: Site, name: str
) -> None:
    address = static_files.static_url("/lens", name)
    answer = site.get(address)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-encoding"] == "gzip"
    assert address.endswith(answer.headers["etag"].strip('"'))

    again = site.get(address, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    plain = site.get(address, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing.css",
        "vendor",
        "vendor/",
        ".hidden.css",
        "../lens.css",
        "vendor/%2e%2e/%2e%2e/lens.css",
        "%2e%2e/lens.css",
        "..%2f..%2fpyproject.toml",
        "/etc/passwd",
        "lens.css%00",
        "lens.py",
        "vendor/.package-lock.sha256",
    ],
)
def test_nothing_but_static_files_is_served(site: Site, name: str) -> None:
    assert site.get(f"/lens/static/{name}").status_code == 404
    assert static_files.asset(name) is None


def test_an_address_of_no_file_is_an_error_that_says_so() -> None:
    with pytest.raises(LookupError, match=r"no static file 'nothing\.js'"):
        static_files.static_url("/lens", "nothing.js")


def test_a_file_that_changes_has_another_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_files, "folder", lambda kind: tmp_path)
    css = tmp_path / "lens.css"
    css.write_text("a { color: red }\n", encoding="utf-8")
    before = static_files.static_url("", "lens.css")
    css.write_text("a { color: green }\n", encoding="utf-8")
    assert static_files.static_url("", "lens.css") != before


def test_a_package_built_without_its_files_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        static_files, "__file__", str(tmp_path / "fastapi_lens/admin/http/files.py")
    )
    with pytest.raises(RuntimeError, match="without its templates"):
        static_files.folder("templates")


def test_installed_files_lie_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "fastapi_lens" / "templates" / "fastapi_lens"
    beside = tmp_path / "templates" / "fastapi_lens"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
    monkeypatch.setattr(
        static_files, "__file__", str(tmp_path / "fastapi_lens/admin/http/files.py")
    )
    assert static_files.folder("templates") == inside
    inside.rmdir()
    assert static_files.folder("templates") == beside
