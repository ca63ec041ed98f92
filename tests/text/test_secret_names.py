from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.text.masked_paths import masked_path
from fastapi_lens.text.secret_names import decoded, says_secret

pytestmark = pytest.mark.unit

NAMES = (
    *("token", "password", "apiKey", "api_key", "client-secret", "code", "PIN", "passphrase"),
    *("APIKey", "SSOToken", "IDToken", "OTPCode", "HMACKey", "AWSSecretAccessKey", "PHPSESSID"),
    *("JSESSIONID", "ASPSESSIONIDQQ", "connect.sid", "sessionid", "clientsecret", "secretkey"),
    *("awsaccesskeyid", "dbpass", "userpw", "authcode", "wpnonce", "creds", "pw", "pass", "passwd"),
    *("SAMLResponse", "assertion", "X-Amz-Signature", "tokens", "pwd2", "2faCode", "pAsSwOrD"),
    *("a.b.token", "user[password]", "tokén", "\uff54oken", "to\u200bken", "private_key"),
    *("GITHUB_PAT", "pgtId", "wresult", "sk", "vcode", "sharekey", "twofactorcode", "basicauth"),
    *("kennwort", "contraseña", "motDePasse", "mot_de_passe", "wachtwoord", "senha", "SeedPhrase"),
    *("writekey", "streamkey", "productkey", "subscriptionkey", "privkey", "pkey", "feedkey"),
    *("wskey", "unsubscribekey", "sitekey", "keyphrase", "psk", "authz", "pword", "usrpwd", "tkn"),
    *(
        "mdp",
        "clave",
        "hostkey",
        "signingkeys",
        "deploykeys",
        "WPA_PSK",
        "l\u00f6senord",
        "\u015fifre",
    ),
    *("seed_phrase", "pass_wd", "kata_sandi", "mat_khau", "connection_string", "dsn", "mfa", "tok"),
    *("code_verifier", "upass", "lozinka", "klucz", "smtppass", "storepass", "MYSQLPASS", "bindpw"),
    *("dbauth", "pwhash", "smsotp", "cnonce", "awscreds", "usersid", "wifipsk", "apptkn", "xpwd"),
    *(
        "2fa",
        "pinNumber",
        "pinnumber",
        "pairingcode",
        "magiclink",
        "signedRequest",
        "presigned_url",
    ),
    *("captcha", "g-recaptcha-response", "cardNumber", "creditcard", "ott", "TAN", "puk"),
    *("has\u0142o", "HAS\u0141O", "contrase\u00f1a", "contrasenia"),
    *(
        "\u043f\u0430\u0440\u043e\u043b\u044c",
        "\u5bc6\u7801",
        "\u5bc6\u78bc",
        "\ube44\ubc00\ubc88\ud638",
    ),
    *(
        "\u30d1\u30b9\u30ef\u30fc\u30c9",
        "\u03ba\u03c9\u03b4\u03b9\u03ba\u03cc\u03c2",
        "my_\u0442\u043e\u043a\u0435\u043d",
    ),
    *("\u0e23\u0e2b\u0e31\u0e2a\u0e1c\u0e48\u0e32\u0e19", "\u05e1\u05d9\u05e1\u05de\u05d4"),
    *(
        "\u0643\u0644\u0645\u0629_\u0627\u0644\u0633\u0631",
        "\u092a\u093e\u0938\u0935\u0930\u094d\u0921",
    ),
)
HARMLESS = (
    *("keyword", "monkey", "compass", "passenger", "tokenizer", "author", "keyboard", "turkey"),
    *("secretary", "design", "encode", "barcode", "passport", "sidebar", "inside", "spine"),
    *("opinion", "page", "sort", "status", "user_id", "limit", "signal", "zipcode", "q", ""),
    *("fax", "task", "mask", "path", "pattern", "patient", "patch", "passive", "paycheck", "shape"),
    *(
        "monkeys",
        "donkey",
        "hockey",
        "jockeys",
        "whiskey",
        "hotkey",
        "hotkeys",
        "lackey",
        "keyless",
    ),
    *("enclave", "obelisk", "authored", "parolee", "desk", "whisk", "bypass", "surpass", "sacred"),
    *("rehash", "compasses", "overpass", "number", "time", "store", "entry", "sofa", "captain"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_says_secret_is_known(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_other_names_say_nothing(name: str) -> None:
    assert not says_secret(name)


@given(
    name=st.sampled_from(NAMES),
    case=st.sampled_from([str, str.upper, str.lower, str.title]),
    around=st.sampled_from(["{}", "user[{}]", "a.{}", "x-{}", "{}_2", "my {}", "{}[]", "%00{}"]),
    times=st.integers(0, 6),
)
def test_a_secret_is_known_in_any_case_nested_and_encoded(
    name: str, case: object, around: str, times: int
) -> None:
    assert callable(case)
    sent = around.format(case(name) if name.isalpha() and name.isascii() else name)
    for _ in range(times):
        sent = quote(sent, safe="")
    assert says_secret(sent)


def test_a_name_that_is_longer_than_any_in_use_may_say_it_somewhere() -> None:
    assert says_secret("x" * 201)
    assert not says_secret("x" * 200)


@pytest.mark.parametrize(
    ("path", "template", "shown"),
    [
        ("/reset/abc", "/reset/{token}", "/reset/…"),
        ("/api/reset/abc", "/reset/{token}", "/api/reset/…"),
        ("/users/7/keys/abc", "/users/{user_id}/keys/{api_key}", "/users/7/keys/…"),
        ("/reset/a/b/c", "/reset/{token}", "/reset/…"),
        ("/reset/a/b/c", "/reset/{token:path}", "/reset/…"),
        ("/reset/abc/confirm", "/reset/{token}/confirm", "/reset/…/confirm"),
        ("/a/1/s/t", "/a/{a}/{token}", "/a/1/…"),
        ("/k/x/v/1/y/z/2", "/k/{key}/v/{n}/{secret}/z/{m}", "/k/…/v/…/…/z/2"),
        ("/t/abc/1.2/x", "/t/{token}/{a}.{b}/x", "/t/…/1.2/x"),
        ("/elsewhere", "/reset/{token}", "/reset/…"),
        ("/reset/", "/reset/{token}", "/reset/…"),
        ("/a/1", "/a/{a}/{b}/{token}", "/a/…/…/…"),
        ("/x/1/y", "/{token}/{a}/b/{c}/y", "/…/…/b/…/y"),
        ("/t/cut of", "/t/{token}/end", "/t/…/end"),
        ("/users/7", "/users/{user_id}", "/users/7"),
        ("/monkeys/7", "/monkeys/{monkey}", "/monkeys/7"),
        ("/anything", "", "/anything"),
    ],
)
def test_a_path_shows_no_secret(path: str, template: str, shown: str) -> None:
    assert masked_path(path, template) == shown


@given(
    names=st.lists(st.sampled_from(["token", "a", "user_id", "api_key"]), min_size=1, max_size=4),
    values=st.lists(st.text("ab/.", min_size=1, max_size=5), min_size=4, max_size=4),
    root=st.sampled_from(["", "/api", "/x/ab"]),
)
def test_no_letter_of_a_secret_is_left_whatever_the_others_are(
    names: list[str], values: list[str], root: str
) -> None:
    template = "".join(f"/p{at}/{{{name}}}" for at, name in enumerate(names))
    secret = [name in ("token", "api_key") for name in names]
    sent = ["XYZ" + value + "XYZ" if hides else value
            for hides, value in zip(secret, values, strict=False)]  # fmt: skip
    path = root + "".join(f"/p{at}/{value}" for at, value in enumerate(sent))

    assert "X" not in masked_path(path, template)
    if not any(secret):
        assert masked_path(path, template) == path


def test_a_text_that_is_encoded_without_end_is_decoded_a_few_times() -> None:
    # Each time that it is decoded, one digit comes out that makes the next code.
    assert decoded("%4" + "%3" * 2 + "1") == "A"
    assert decoded("%4" + "%3" * 9 + "1") == "%4" + "%3" * 5 + "1"
