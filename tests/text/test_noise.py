"""Callers that are noise, and callers that may be somebody."""

import pytest

from fastapi_lens.text.noise import NOISE, is_noise
from fastapi_lens.text.user_agents import family

pytestmark = pytest.mark.unit

HEADERS = {
    "kube-probe": "kube-probe/1.31",
    "ELB-HealthChecker": "ELB-HealthChecker/2.0",
    "GoogleHC": "GoogleHC/1.0",
    "Prometheus": "Prometheus/3.5.0",
    "Pingdom": "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "UptimeRobot": "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "StatusCake": "Mozilla/5.0 (StatusCake)",
    "Datadog": "Datadog/Synthetics",
    "bot": "Mozilla/5.0 (compatible; SomeBot/1.0)",
    "Googlebot": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Bingbot": "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "DuckDuckBot": "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "YandexBot": "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Applebot": "Mozilla/5.0 (Macintosh) Version/17.4 Safari/605.1.15 (Applebot/0.1)",
    "GPTBot": "Mozilla/5.0 AppleWebKit/537.36 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "ClaudeBot": "Mozilla/5.0 AppleWebKit/537.36 (compatible; ClaudeBot/1.0)",
    "scanner": "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
    "zgrab": "Mozilla/5.0 zgrab/0.x",
    "Nuclei": "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)",
    "sqlmap": "sqlmap/1.9#stable (https://sqlmap.org)",
    "masscan": "masscan/1.3 (https://github.com/robertdavidgraham/masscan)",
    "Nikto": "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:000001)",
    "Nmap": "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    "testclient": "testclient",
}
"""A header of each program."""


@pytest.mark.parametrize("name", NOISE)
def test_each_default_name_is_that_of_a_program_that_sends_it(name: str) -> None:
    assert family(HEADERS[name].encode()) == name
    assert is_noise(name)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "shop/1.2",
        "python-requests/2.32.5",
        "curl/8.14.1",
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/144.0",
        "Mozilla/5.0",
        "Nucleus-Health/3.1",
    ],
)
def test_a_caller_that_may_be_somebody_is_no_noise(header: str) -> None:
    assert not is_noise(family(header.encode()))


def test_other_names_replace_the_default_ones_whatever_their_case() -> None:
    assert is_noise("Nightly-Check", ["nightly-check", ""])
    assert not is_noise("Googlebot", ["nightly-check"])
    assert not is_noise("", ["nightly-check", ""])
