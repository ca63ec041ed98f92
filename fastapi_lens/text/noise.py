"""Names of callers that are noise: health checks, monitors, crawlers, scanners, tests. Pure.

Their calls do not show that anybody needs an endpoint. A caller without a name is no noise: it may
be anybody, and a use that is overlooked is worse than one too many.
"""

from collections.abc import Collection
from functools import lru_cache

_HEALTH_CHECKS = ("kube-probe", "ELB-HealthChecker", "GoogleHC", "Prometheus")
_MONITORS = ("Pingdom", "UptimeRobot", "StatusCake", "Datadog")
_CRAWLERS = (
    *("bot", "Googlebot", "Bingbot", "DuckDuckBot", "YandexBot", "Applebot", "GPTBot"),
    "ClaudeBot",
)
_SCANNERS = ("scanner", "zgrab", "Nuclei", "sqlmap", "masscan", "Nikto", "Nmap")

# Starlette's TestClient calls itself so.
NOISE = (*_HEALTH_CHECKS, *_MONITORS, *_CRAWLERS, *_SCANNERS, "testclient")
"""The default names, as `text.user_agents.family` returns them."""


def is_noise(caller: str, names: Collection[str] = NOISE) -> bool:
    """True if a caller is noise.

    Args:
        caller: Its name, such as the family of its User-Agent; may be empty.
        names: Names of callers that are noise; upper and lower case are the same.
    """
    return caller.lower() in _lowered(tuple(names))


@lru_cache(maxsize=16)
def _lowered(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names) - {""}
