"""Which kind of program a User-Agent names: a short family without a version. Pure.

Linear in the header's length: nothing but searches for fixed texts in its first bytes.
"""

import string

LONGEST_HEADER = 512
"""Bytes of a header that are looked at; every browser's name comes before."""

LONGEST_NAME = 32
OTHER = "other"

_FAMILIES = (
    # Robots first: they say that they are a browser, too.
    *(("googlebot", "Googlebot"), ("bingbot", "Bingbot"), ("duckduckbot", "DuckDuckBot")),
    *(("yandexbot", "YandexBot"), ("applebot", "Applebot"), ("gptbot", "GPTBot")),
    *(("claudebot", "ClaudeBot"), ("bot", "bot"), ("crawler", "bot"), ("spider", "bot")),
    # Then those that carry Chrome's or Safari's name beside their own.
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


def family(header: bytes) -> str:
    """The kind of program that a User-Agent names.

    Args:
        header: Its bytes, whatever they are.

    Returns:
        A known family; the first product's name (``orders-worker`` of ``orders-worker/1.2``) of
        a program that is not known; `OTHER` where it gives none; empty without a header.
        Letters, digits, blanks and ``._-`` only, `LONGEST_NAME` characters at most.
    """
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
