"""SourceLink: the template of links from a line of code to an editor or a repository. Pure."""

import re
from dataclasses import dataclass
from string import Formatter
from typing import Self
from urllib.parse import quote, urlsplit

WEB = ("https", "http")
EDITORS = (
    *("vscode", "vscode-insiders", "vscodium", "cursor", "windsurf", "zed"),
    *("jetbrains", "idea", "pycharm", "subl", "txmt", "mvim", "emacs", "editor"),
)
PLACEHOLDERS = ("path", "file", "line", "release")
EXAMPLE = "vscode://file/{path}:{line}"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A valid template.

    Attributes:
        text: Its text, such as ``https://example.com/repo/blob/{release}/{file}#L{line}``.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a template.

        Raises:
            ValueError: No link could be made of it; completes the sentence ``source_link …``.
        """
        if not text.isprintable() or " " in text:
            raise ValueError("must have no spaces and no characters that cannot be printed")
        scheme = _SCHEME.match(text)
        if scheme is None or scheme[1].lower() not in WEB + EDITORS:
            raise ValueError(
                f"must begin with https://, http:// or an editor's own scheme ({', '.join(EDITORS)}"
                f"), like {EXAMPLE}"
            )
        names = _placeholders(text)
        if not {"path", "file"} & names:
            raise ValueError(f"must name the file: {{path}} or {{file}}, like {EXAMPLE}")
        if scheme[1].lower() in WEB:
            _check_host(text)
        return cls(text)

    @property
    def needs_path(self) -> bool:
        """True if links have the path of the file on the server."""
        return "path" in _placeholders(self.text)

    def href(self, *, path: str, file: str, line: int | None, release: str) -> str:
        """The link to a line; empty if the template needs a release and none is known.

        Args:
            path: Path of the file on the server, from the root on.
            file: Path of the file in the project.
            line: Number of the line; the first one if it is unknown.
            release: Name of the release; may be empty.
        """
        if not release and "release" in _placeholders(self.text):
            return ""
        # Without the slash at its beginning, which the template has.
        values = {"path": path.lstrip("/"), "file": file, "line": str(line or 1)}
        encoded = {name: quote(value) for name, value in {**values, "release": release}.items()}
        return self.text.format_map(encoded)


def _placeholders(text: str) -> set[str]:
    """The names in braces.

    Raises:
        ValueError: A brace is alone, or a name is unknown; completes ``source_link …``.
    """
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        found = [
            (name, bool(form or conversion))
            for _, name, form, conversion in Formatter().parse(text)
            if name is not None
        ]
    except ValueError:
        raise ValueError(f"has a brace without its other half; it may contain {known}") from None
    for name, is_formatted in found:
        if name not in PLACEHOLDERS or is_formatted:
            raise ValueError(f"has the unknown placeholder {{{name}}}; it may contain {known}")
    return {name for name, _ in found}


def _check_host(text: str) -> None:
    """Refuse a web address whose host is missing, or would depend on a file or a release.

    Raises:
        ValueError: It completes the sentence ``source_link …``.
    """
    try:
        host = urlsplit(text).netloc
    except ValueError:
        host = ""
    if not host or set(host) & set("{}@"):
        raise ValueError("must name a host, without placeholders and without a user or a password")
