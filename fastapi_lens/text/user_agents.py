"""Program families of User-Agent headers: a short name without a version. Pure.

Only searches for fixed texts in the first bytes, so that no header can take long.
"""

import string
from collections.abc import Iterable

LONGEST_HEADER = 512
"""Bytes of a header that are searched; every browser's name is within them."""

LONGEST_NAME = 32
OTHER = "other"

_FAMILIES = (
    # Monitors and robots first: their headers also name a browser.
    *(("pingdom", "Pingdom"), ("uptimerobot", "UptimeRobot"), ("statuscake", "StatusCake")),
    *(("datadog", "Datadog"), ("googlehc/", "GoogleHC")),
    *(("zgrab/", "zgrab"), ("nuclei/", "Nuclei"), ("nuclei -", "Nuclei"), ("sqlmap/", "sqlmap")),
    *(("masscan/", "masscan"), ("nikto/", "Nikto"), ("nmap scripting engine", "Nmap")),
    *(("censysinspect/", "scanner"), ("internetmeasurement/", "scanner"), ("wpscan", "scanner")),
    *(("expanse, a palo alto", "scanner"), ("leakix.net", "scanner"), ("l9explore/", "scanner")),
    *(("gobuster/", "scanner"), ("feroxbuster/", "scanner"), ("dirbuster", "scanner")),
    *(("fuzz faster u fool", "scanner"), ("wfuzz/", "scanner"), ("acunetix", "scanner")),
    *(("nessus", "scanner"), ("openvas", "scanner")),
    *(("googlebot", "Googlebot"), ("bingbot", "Bingbot"), ("duckduckbot", "DuckDuckBot")),
    *(("yandexbot", "YandexBot"), ("applebot", "Applebot"), ("gptbot", "GPTBot")),
    *(("claudebot", "ClaudeBot"), ("bot", "bot"), ("crawler", "bot"), ("spider", "bot")),
    # Then browsers whose headers also name Chrome or Safari.
    *(("headlesschrome", "Chrome"), ("edg/", "Edge"), ("edga/", "Edge"), ("edgios/", "Edge")),
    *(("edge/", "Edge"), ("opr/", "Opera"), ("samsungbrowser/", "Samsung Internet")),
    *(("firefox/", "Firefox"), ("fxios/", "Firefox"), ("crios/", "Chrome")),
    *(("chrome/", "Chrome"), ("safari/", "Safari"), ("trident/", "Internet Explorer")),
    *(("curl/", "curl"), ("wget/", "Wget"), ("python-httpx/", "python-httpx")),
    *(("python-requests/", "python-requests"), ("python-urllib/", "Python-urllib")),
    *(("aiohttp/", "aiohttp"), ("go-http-client/", "Go-http-client"), ("okhttp/", "okhttp")),
    *(("axios/", "axios"), ("node-fetch", "node-fetch"), ("undici", "undici")),
    *(("apache-httpclient/", "Apache-HttpClient"), ("java/", "Java")),
    *(("postmanruntime/", "Postman"), ("insomnia/", "Insomnia"), ("k6/", "k6")),
    *(("kube-probe/", "kube-probe"), ("prometheus/", "Prometheus")),
    *(("elb-healthchecker/", "ELB-HealthChecker"), ("testclient", "testclient")),
)
_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-")


_PROGRAMS = frozenset(name for _, name in _FAMILIES) | {OTHER, ""}


def is_program(name: str) -> bool:
    """True if a family is that of a known program, which many callers may use.

    Args:
        name: The result of `family`; an unknown product is the name of a caller of its own.
    """
    return name in _PROGRAMS


def user_agent(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first bytes of a request's User-Agent; empty without one.

    Args:
        headers: The headers of the request's scope.
    """
    for name, value in headers:
        # ASGI servers send the names of headers in lower case.
        if name == b"user-agent":
            return bytes(value[:LONGEST_HEADER])
    return b""


def family(header: bytes) -> str:
    """The family of the program that a User-Agent names.

    Args:
        header: The raw header.

    Returns:
        A known family; for unknown programs the name of the first product (``orders-worker`` of
        ``orders-worker/1.2``), or `OTHER` without one; empty without a header. Only letters,
        digits, spaces and ``._-``, at most `LONGEST_NAME` characters.
    """
    # Latin-1 decodes any bytes, so no header can fail here.
    text = header[:LONGEST_HEADER].decode("latin-1").strip()
    if not text:
        return ""
    lowered = text.lower()
    for token, name in _FAMILIES:
        if token in lowered:
            return name
    product, slash, _ = text.partition("/")
    is_name = slash and len(product) <= LONGEST_NAME and _NAME_CHARACTERS.issuperset(product)
    return product if is_name and product[:1].isalpha() else OTHER
