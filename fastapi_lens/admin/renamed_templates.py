"""Template names of earlier releases, and the search for overrides that still have one.

Such an override would have no effect, and nobody would notice. Renders nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi_lens.admin.http.static_files import FOLDER

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "_failures_table.html": "_exceptions_table.html",
        "_endpoint_actions.html": "endpoint/_actions.html",
        "_endpoint_codes.html": "endpoint/_codes.html",
        "_endpoint_facts.html": "endpoint/_facts.html",
        "_endpoint_figures.html": "endpoint/_figures.html",
        "_endpoint_head.html": "endpoint/_head.html",
        "_endpoint_hours.html": "endpoint/_hours.html",
        "_endpoint_ignored.html": "endpoint/_ignored.html",
        "_endpoint.html": "endpoint/_page.html",
        "endpoint.html": "endpoint/page.html",
        "_endpoint_period.html": "_period.html",
        "endpoint/_period.html": "_period.html",
        "_endpoint_requests.html": "endpoint/_requests.html",
        "_endpoint_time.html": "endpoint/_time.html",
        "_endpoints_empty.html": "endpoints/_empty.html",
        "_endpoints_filters.html": "endpoints/_filters.html",
        "_endpoints_first_run.html": "endpoints/_first_run.html",
        "_endpoints_no_match.html": "endpoints/_no_match.html",
        "_endpoints.html": "endpoints/_page.html",
        "endpoints.html": "endpoints/page.html",
        "_endpoints_pages.html": "endpoints/_pagination.html",
        "_endpoints_row.html": "endpoints/_row.html",
        "_endpoints_summary.html": "endpoints/_summary.html",
        "_endpoints_table.html": "endpoints/_table.html",
        "_endpoints_tabs.html": "endpoints/_tabs.html",
        "_failure.html": "exceptions/_exception.html",
        "failure.html": "exceptions/exception.html",
        "_failures.html": "exceptions/_page.html",
        "failures.html": "exceptions/page.html",
        "login.html": "login/page.html",
        "_requests_empty.html": "requests/_empty.html",
        "_requests_filters.html": "requests/_filters.html",
        "_requests_new.html": "requests/_new.html",
        "_requests.html": "requests/_page.html",
        "requests.html": "requests/page.html",
        "_requests_pages.html": "requests/_pagination.html",
        "_request.html": "requests/_request.html",
        "request.html": "requests/request.html",
        "_audit.html": "settings/_audit.html",
        "audit.html": "settings/audit.html",
        "_audit_table.html": "settings/_audit_table.html",
        "_danger.html": "settings/_danger.html",
        "danger.html": "settings/danger.html",
        "_settings_field.html": "settings/_field.html",
        "_settings_form.html": "settings/_form.html",
        "_settings_audit.html": "settings/_latest_changes.html",
        "_settings_now.html": "settings/_now.html",
        "_settings.html": "settings/_page.html",
        "settings.html": "settings/page.html",
        "_settings_preview.html": "settings/_preview.html",
        "_settings_rule_form.html": "settings/_rule_form.html",
        "_settings_rules.html": "settings/_rules.html",
        "_settings_rules_table.html": "settings/_rules_table.html",
        "_settings_section.html": "settings/_section.html",
        "_settings_storage.html": "settings/_storage.html",
        "_settings_tabs.html": "settings/_tabs.html",
        "_settings_workers.html": "settings/_workers.html",
    }
)
"""New names by old names, both below ``fastapi_lens/``."""


def renamings(template_dirs: Iterable[str]) -> str:
    """The overrides to rename, as a sentence; empty if none has an old name.

    Args:
        template_dirs: The host's directories, each with a folder ``fastapi_lens``.
    """
    found = {
        old
        for directory in template_dirs
        for old in RENAMED
        if (Path(directory) / FOLDER / old).is_file()
    }
    if not found:
        return ""
    pairs = ", ".join(f"{FOLDER}/{old} to {FOLDER}/{RENAMED[old]}" for old in sorted(found))
    return f"Rename {pairs}, then restart the application."
