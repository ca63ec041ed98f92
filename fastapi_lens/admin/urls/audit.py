"""State of the audit log page in its address; see `query_string`. No I/O, no HTML."""

from dataclasses import dataclass, replace
from typing import Self

from fastapi_lens.admin.audit import AuditGroup
from fastapi_lens.admin.urls.query_string import address, fields_of
from fastapi_lens.reporting.model import id_from_key


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """State of the list of entries. Invalid values become empty.

    Attributes:
        group: Group of actions; empty for all.
        before: Key of an entry; only older ones are shown. Empty for the newest.
    """

    group: str = ""
    before: str = ""

    def __post_init__(self) -> None:
        """Replace invalid values."""
        object.__setattr__(self, "group", self.group if self.group in list(AuditGroup) else "")
        object.__setattr__(self, "before", self.before if id_from_key(self.before) >= 0 else "")

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = fields_of(url)
        return cls(
            group=fields.get("group", [""])[-1],
            before=fields.get("before", [""])[-1],
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [("group", self.group), ("before", self.before)]
        return address(path, [(name, value) for name, value in pairs if value])

    def with_group(self, group: str) -> Self:
        """The newest of another group."""
        return replace(self, group=group, before="")

    def newest(self) -> Self:
        """The same from the beginning."""
        return replace(self, before="")

    def older(self, key: str) -> Self:
        """The entries after a given one."""
        return replace(self, before=key)
