"""Callers of the endpoints in evidence of several regions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastapi_lens.cli.removal.evidence import CallerEvidence, EndpointEvidence, RefusedEvidence
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.verdict.needs import YEAR


@dataclass(slots=True)
class KnownCallers:
    """The callers of one endpoint, in all evidence that has recorded callers.

    Attributes:
        written_at: The time of the latest evidence, in epoch seconds.
        by_name: The callers that used it; whoever calls in several regions is one.
        more: Number of callers that are left out.
    """

    written_at: float = 0.0
    by_name: dict[str, CallerEvidence] = field(default_factory=dict[str, CallerEvidence])
    more: int = 0

    def add(self, endpoint: EndpointEvidence, written_at: float) -> None:
        """Add the callers of the same endpoint in other evidence.

        Args:
            endpoint: As that evidence has it.
            written_at: The time of that evidence.
        """
        self.written_at = max(self.written_at, written_at)
        self.more += endpoint.more_callers
        for caller in endpoint.callers:
            if isinstance(caller, RefusedEvidence):
                continue
            found = self.by_name.get(caller.name, caller)
            latest = max(found.last_at, caller.last_at)
            noise = found.noise and caller.noise
            self.by_name[caller.name] = CallerEvidence(
                name=caller.name, last_at=latest, noise=noise
            )

    @property
    def people(self) -> list[CallerEvidence]:
        """All but bots, health checks and tests, the latest first."""
        found = [caller for caller in self.by_name.values() if not caller.noise]
        return sorted(found, key=lambda caller: (-caller.last_at, caller.name))

    @property
    def count(self) -> int:
        """The number of callers but bots, health checks and tests."""
        return len(self.people) + self.more

    @property
    def present(self) -> list[CallerEvidence]:
        """Those that came within the time after which a caller counts as gone."""
        since = self.written_at - YEAR * SECONDS_PER_DAY
        return [caller for caller in self.people if caller.last_at >= since]


def callers_of_all(sources: Sequence[Source]) -> Mapping[str, KnownCallers]:
    """The callers of endpoints by their names; those without evidence of callers are missing."""
    found: dict[str, KnownCallers] = {}
    for source in sources:
        evidence = source.evidence
        if evidence.callers is not None:
            for endpoint in evidence.recorded:
                known = found.setdefault(endpoint.name, KnownCallers())
                known.add(endpoint, evidence.generated_at)
    return found
