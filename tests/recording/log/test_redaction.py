import base64
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.recording.log.redaction import LONGEST_QUERY, client_text, query_text

pytestmark = pytest.mark.unit

SALT = b"salt"


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_a_masked_address_is_its_network(address: str, masked: str) -> None:
    assert client_text(address, "masked", SALT) == masked
    assert client_text(address, "off", SALT) == ""


def test_a_hashed_address_is_the_same_for_one_client_and_tells_nothing_without_the_salt() -> None:
    one = client_text("203.0.113.77", "hashed", SALT)

    assert re.fullmatch("[0-9a-f]{16}", one)
    assert client_text("::ffff:203.0.113.77", "hashed", SALT) == one
    assert client_text("203.0.113.78", "hashed", SALT) != one
    assert client_text("203.0.113.77", "hashed", b"another") != one
    assert client_text("a socket", "hashed", SALT) == ""


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (b"", ""),
        (b"b=1&a=2&b=3", "b&a&b"),
        (b"token=hunter2&verbose", "token&verbose"),
        (b"a%20b=1&%3Cscript%3E=1", "a%20b&%3Cscript%3E"),
        (b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.secret", "…"),
        (b"k" * 80 + b"=1", "k" * 63 + "…"),
        (b"a=\xff&\xff=1", "a&\xff"),
        (b"YSBzZWNyZXQgdG9rZW4gb2YgMzQgYnl0ZXMgZm9yIHlvdQ==", "…"),
        (b"YSBzZWNyZXQgdG9rZW4gb2YgMzQgYnl0ZXMgZm9yIHlvdQ%3d%3D", "…"),
        (b"c2VjcmV0MQ==&c2VjcmV0MTI=&verbose=&==", "…&…&verbose&…"),
        (b"token%3Dhunter2&next=/a?token=hunter2;b=1", "token&next"),
        (b"password=abc;defsecret", "password"),
        (b"note=meet;at%205pm&b=1;c=2", "note&b"),
        (b"a=1;b=2;c", "a"),
        (b"d41d8cd98f00b204e9800998ecf8427e", "…"),
    ],
)
def test_a_query_keeps_its_keys_as_they_were_sent(query: bytes, keys: str) -> None:
    assert query_text(query, values=False) == keys


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"b=1&a=2&b=3", "b=1&a=2&b=3"),
        (b"q=keys&keyword=x&monkey=1", "q=keys&keyword=x&monkey=1"),
        (b"report_key=hunter2&q=x", "report_key=…&q=x"),
        (b"access-token=hunter2&clientSecret=hunter2&APIKEY=hunter2",
         "access-token=…&clientSecret=…&APIKEY=…"),
        (b"report%5fkey=hunter2&user.password=hunter2", "report%5fkey=…&user.password=…"),
        (b"token=&token&key", "token=&token&key"),
        (b"APIKey=hunter2&PHPSESSID=hunter2&clientsecret=hunter2&pass=hunter2",
         "APIKey=…&PHPSESSID=…&clientsecret=…&pass=…"),
        (b"a=1;token=hunter2;b=2&c=1;d=2", "a=…&c=1;d=2"),
        (b"password=abc;defsecret&note=meet;at%205pm", "password=…&note=meet;at%205pm"),
        (b"password=abc;def=hunter2;hunter2", "password=…"),
        (b"next=%2Freset%3Ftoken%3Dhunter2&page=2", "next=…&page=2"),
        (b"next=%25252Freset%25253Ftoken%25253Dhunter2", "next=…"),
        (b"next=/a%23access_token=hunter2", "next=…"),
        (b"u=https%3A%2F%2Fme%3Ahunter2%40host%2F&r=http://host/y?z=1", "u=…&r=http://host/y?z=1"),
        (b"filter=%7B%22api_key%22%3A+%22hunter2%22%7D&q=a:b", "filter=…&q=a:b"),
        (b"h=Token+hunter2&i=ApiKey%20hunter2&j=me:hunter2@host", "h=…&i=…&j=…"),
        (b"x=%3Cpassword%3Ehunter2%3C/password%3E&y=%3Cb%3Ebold%3C/b%3E",
         "x=…&y=%3Cb%3Ebold%3C/b%3E"),
        (b"h=Bearer+hunter2&x=eyJhbGci.hunter2", "h=…&x=…"),
        (b"q=sk_live_hunter2hunter2&r=ghp_hunter2hunter2&s=AKIAHUNTER2HUNTER22X&t=xoxb-1-2-hunter2",
         "q=…&r=…&s=…&t=…"),
        (b"q=glpat-hunter2hunter2&r=github_pat_hunter2hunter2&s=-----BEGIN+PRIVATE+KEY-----hunter2",
         "q=…&r=…&s=…"),
        (b"q=my+key:+sk-proj-hunter2hunter2&r=npm_hunter2hunter2hunter2&s=pypi-AgEIhunter2hunter2",
         "q=…&r=…&s=…"),
        (b"ghp_hunter2hunter2=1&page=2", "…=…&page=2"),
        (b"q=npm_install&r=pypi-server&s=sk_live&t=sk-bratislava&u=AKIA&v=glpat-&w=ghp_x",
         "q=npm_install&r=pypi-server&s=sk_live&t=sk-bratislava&u=AKIA&v=glpat-&w=ghp_x"),
        (b"token%3Dhunter2&a%3D1", "token%3D…&a%3D1"),
        (b"eyJhbGciOiJIUzI1NiJ9.hunter2&c2VjcmV0MTI=&verbose=", "…&…&verbose="),
    ],
)  # fmt: skip
def test_a_query_keeps_its_values_but_those_of_secrets_when_that_is_switched_on(
    query: bytes, kept: str
) -> None:
    assert query_text(query, values=True) == kept


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        *("token:hunter2", '{"pin":"hunter2"}', "Bearer%20hunter2", "password%3Ahunter2"),
        *("token%253Ahunter2", "Basic+hunter2", "eyJhunter2", "//me:hunter2@host", "{pin:hunter2}"),
        *("token-hunter2", "sk-hunter2", "secret/hunter2", "password hunter2", "key.hunter2"),
        *("a;token:hunter2", "token:hunter2;a", "'token':'hunter2'", "hunter2;token:1"),
        *(
            "token:hunter2=",
            '{"pin":"hunter2"}=',
            "%7B%22pin%22%3A%22hunter2%22%7D=",
            "pin:hunter2=1",
        ),
        *("token:hunter2%3D1", "password hunter2", "token-hunter"),
        *("hunter2;password=1", "hunter2;a=1", "hunter2%3Ba=1", "user:hunter2@host"),
        *("<password>hunter2</password>", "Token%20hunter2", "NTLM+hunter2"),
    ],
)
def test_a_part_without_a_name_keeps_no_secret(query: str, values: bool) -> None:  # noqa: FBT001
    for sent in (query, f"a=1&{query}&b=2"):
        assert "hunter" not in query_text(sent.encode(), values=values)


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(
    "query", ["token", "api_key", "access-token", "verbose", "a:b", "page:2", "2026-11-30", "v1.2"]
)
def test_a_part_without_a_name_that_is_a_name_or_harmless_stays(
    query: str,
    values: bool,  # noqa: FBT001
) -> None:
    assert query_text(query.encode(), values=values) == query


@given(st.lists(st.text(min_size=1), min_size=1), st.text("XYZ", min_size=3, max_size=40))
def test_no_value_is_left_in_the_keys(keys: list[str], secret: str) -> None:
    plain = [re.sub("[&=XYZ]", "", key) for key in keys]
    query = "&".join(f"{key}={secret}" for key in plain).encode()
    assert secret not in query_text(query, values=False)


@given(st.binary(max_size=6_000), st.booleans())
def test_a_query_is_bounded(query: bytes, values: bool) -> None:  # noqa: FBT001  Of Hypothesis.
    assert len(query_text(query, values=values)) <= LONGEST_QUERY


@given(
    name=st.sampled_from(["APIToken", "user[password]", "sessionid", "x-api-key", "pw"]),
    outer=st.lists(st.sampled_from(["next", "url", "q"]), max_size=4),
    secret=st.text("XYZ", min_size=3, max_size=40),
    separator=st.sampled_from(["&", ";"]),
)
def test_no_secret_is_left_however_deep_it_is(
    name: str, outer: list[str], secret: str, separator: str
) -> None:
    query = f"a=1{separator}{name}={secret}"
    for around in outer:
        query = f"b=2{separator}{around}=" + quote(f"/path?{query}", safe="")
    for values in (True, False):
        assert secret not in query_text(query.encode(), values=values)


@given(st.binary(min_size=16, max_size=60), st.booleans(), st.booleans())
def test_no_bare_token_is_left(token: bytes, values: bool, encoded: bool) -> None:  # noqa: FBT001  Of Hypothesis.
    text = base64.urlsafe_b64encode(token).decode()
    sent = quote(text) if encoded else text
    assert text.rstrip("=") not in query_text(sent.encode(), values=values)


def test_a_very_long_value_is_looked_into_at_once() -> None:
    for text in ("a" * 4_000, "a=" * 2_000, "//" + ":" * 4_000, "%25" * 1_300, "eyJ" * 1_300):
        assert len(query_text(f"q={text}".encode(), values=True)) <= LONGEST_QUERY
