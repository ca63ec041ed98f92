"""Sections of a Markdown file that programs write. Knows nothing of what is in them.

A section lies between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``. Each program replaces
its own and leaves all else as it is, so that several can share a file.
"""

import re
from pathlib import Path

TITLE = "# Results of the benchmarks\n\nWritten by programs; each replaces its own section.\n"


def write_section(results: Path, name: str, body: str) -> None:
    """Put a section into a file of results, which is begun when there is none.

    Args:
        results: RESULTS.md.
        name: Of the section.
        body: New text of the section.
    """
    text = results.read_text(encoding="utf-8") if results.exists() else TITLE
    results.write_text(replace_section(text, name, body), encoding="utf-8")


def replace_section(text: str, name: str, body: str) -> str:
    """The text with a section replaced, or appended when there is none.

    Args:
        text: The whole file; may be empty.
        name: Of the section.
        body: New text between the two marks.
    """
    opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    section = f"{opening}\n{body.strip()}\n{closing}"
    pattern = re.compile(re.escape(opening) + ".*?" + re.escape(closing), re.DOTALL)
    if pattern.search(text):
        return pattern.sub(lambda _: section, text, count=1)
    return f"{text.rstrip()}\n\n{section}\n".lstrip()
