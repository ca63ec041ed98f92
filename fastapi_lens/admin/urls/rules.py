"""An ignore rule in the settings' form, and in its address. No I/O, no HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fastapi_lens.settings.ignore_rules import STATUS_CLASSES, Rule

# A form is read as one value for each name, so each method and class has a field of its own.
_METHOD, _STATUS = "method.", "status."


_ON = "on"


@dataclass(frozen=True, slots=True)
class RuleForm:
    """A rule in the form, valid or not.

    Attributes:
        id: Id of the changed rule; empty for a new one.
    """

    id: str = ""
    pattern: str = ""
    methods: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    paused: bool = False

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """The form of an existing rule."""
        return cls(rule.id, rule.pattern, rule.methods, rule.statuses, rule.paused)

    @classmethod
    def read(cls, form: Mapping[str, str]) -> Self:
        """The form of a POST or of an address."""
        methods = {name.removeprefix(_METHOD) for name in form if name.startswith(_METHOD)}
        return cls(
            id=form.get("rule", ""),
            pattern=form.get("pattern", "").strip(),
            methods=tuple(sorted(methods)),
            statuses=tuple(one for one in STATUS_CLASSES if f"{_STATUS}{one}" in form),
            paused=form.get("paused") == _ON,
        )

    def fields(self) -> dict[str, str]:
        """The fields of an address for the same form."""
        chosen = {f"{_METHOD}{method}": _ON for method in self.methods}
        chosen |= {f"{_STATUS}{one}": _ON for one in self.statuses}
        return {"pattern": self.pattern, **chosen}

    def rule(self, identity: str) -> Rule:
        """The rule of the form.

        Raises:
            ConfigError: A value is invalid; `field` is its name.
        """
        return Rule(
            id=identity,
            pattern=self.pattern,
            methods=self.methods,
            statuses=self.statuses,
            paused=self.paused,
        )
