"""Setting: metadata of a field of LensConfig. Knows no value and no HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

METADATA = "setting"
"""Key of a `Setting` in the metadata of a dataclass field."""


class Section(StrEnum):
    """Section of the settings page, which is stored as one JSON object."""

    RETENTION = "retention"
    THRESHOLDS = "thresholds"
    RECORDING = "recording"
    CALLERS = "callers"
    NOTIFICATIONS = "notifications"


@dataclass(frozen=True, slots=True)
class Setting:
    """Metadata of a field of `LensConfig`.

    Attributes:
        label: Label of its form field.
        unit: Unit after the input. A unit of one word is also shown with other numbers: ``7 days``.
        name: Name of the field, which is not repeated in its declaration.
        section: Section in which the setting can be changed while the application runs; None for a
            setting that is fixed at start.
        noun: Noun for a number or a hook in error messages: ``a share``; of a number, empty takes
            it from the type.
        example: The address of a hook, for error messages.
        above: Bound that a number must exceed; None for no bound.
        least: Smallest number; None for no bound.
        most: Largest number; None for no bound.
        hint: A sentence below the input; may be empty.
        choices: Label of each value to choose from; empty for a number.
        is_list: True for a list of text, which a form has in one line, separated by commas.
        unset: Words for None; empty if the setting cannot be None.
    """

    label: str = ""
    unit: str = ""
    name: str = field(default="", kw_only=True)
    section: Section | None = None
    noun: str = ""
    example: str = ""
    above: int | None = None
    least: int | None = None
    most: int | None = None
    hint: str = ""
    choices: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    is_list: bool = False
    unset: str = ""

    @property
    def as_metadata(self) -> Mapping[str, "Setting"]:
        """Itself as the metadata of a dataclass field."""
        return {METADATA: self}
