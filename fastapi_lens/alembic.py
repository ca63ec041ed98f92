"""Exclusion of our tables from the host's Alembic. Imports nothing of Alembic by itself.

Autogenerate would drop tables that the host's metadata does not contain. The entry point in
group ``alembic.plugins`` (Alembic 1.18 and newer) names this module and calls `setup`;
`include_name` is for an ``env.py``, and works with every release.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi_lens.storage.schema.models import lens_metadata

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult

TABLES = frozenset(table.name for table in lens_metadata.sorted_tables)


def include_name(name: str | None, type_: str, _parent_names: Mapping[Any, str | None]) -> bool:
    """True if autogenerate may inspect an object that it found in the database.

    For ``context.configure(include_name=…)`` in ``env.py``. A host's own filter calls it::

        def include_name(name, type_, parent_names):
            return is_ours(name) and fastapi_lens.include_name(name, type_, parent_names)

    Args:
        name: The name of a schema, table, column, index or constraint.
        type_: Alembic's name of its kind, such as ``table``.

    Returns:
        False for the tables of the lens, by their exact names; other ``lens_…`` tables are the
        host's.
    """
    return type_ != "table" or name not in TABLES


def setup(plugin: "Plugin") -> None:
    """Register with Alembic, which calls this while it is being imported."""
    from alembic.util import DispatchPriority  # noqa: PLC0415  Never a dependency of ours.

    plugin.add_autogenerate_comparator(
        _leave_alone, "autogenerate", "fastapi_lens", priority=DispatchPriority.FIRST
    )


def _leave_alone(context: "AutogenContext", _upgrade_ops: "UpgradeOps") -> "PriorityDispatchResult":
    """Exclude our tables before autogenerate inspects them: it logs every table that it finds."""
    from alembic.util import PriorityDispatchResult  # noqa: PLC0415  See `setup`.

    # A host that adds our tables to its own metadata wants Alembic to manage them.
    ours = TABLES - {table.name for table in context.sorted_tables}
    others = context.run_name_filters

    def run_name_filters(name: str | None, type_: Any, parent_names: Any) -> bool:
        return (type_ != "table" or name not in ours) and others(name, type_, parent_names)

    # On the instance, so that other runs keep their own.
    vars(context)["run_name_filters"] = run_name_filters
    return PriorityDispatchResult.CONTINUE
