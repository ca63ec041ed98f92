"""Names of query parameters, form fields and path parameters that indicate a secret value.

Pure. In doubt a name counts as secret: hiding a value needlessly costs less than leaking one.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote_plus

_SECRETS = frozenset(
    (
        *("adgangskode", "ak", "apikey", "assertion", "auth", "authentication", "authn"),
        *("authorization", "authz", "bearer", "chave", "clave", "clef", "code", "connstr"),
        *("cookie", "cred", "credential", "csrf", "cvc", "cvn", "cvv", "dsn", "geheim", "geslo"),
        *("hash", "haslo", "heslo", "hmac", "hotp", "jelszo", "jwt", "key", "keyphrase", "klucz"),
        *("llave", "losenord", "lozinka", "mdp", "mfa", "mnemonic", "mtan", "nonce", "oauth"),
        *("otp", "ott", "parola", "pass", "passcode", "passe", "passkey", "passord", "passphrase"),
        *("passw", "passwd", "password", "passwort", "passwrd", "pat", "pem", "pgt", "pin"),
        *("presigned", "psk", "psswd", "psswrd", "psw", "pswd", "puk", "pw", "pwd", "pword"),
        *("pwrd", "salasana", "saml", "schluessel", "schlussel", "secret", "senha", "sess"),
        *("session", "sid", "sifre", "sig", "sign", "signature", "signed", "sk", "slaptazodis"),
        *("tan", "tfa", "ticket", "tkn", "tok", "token", "totp", "twofa", "upass", "verifier"),
        *("wresult", "xsrf"),
    )
)
"""Words that indicate a secret by themselves, also in the plural."""

_QUALIFIERS = frozenset(
    (
        *("access", "account", "activation", "admin", "amz", "api", "app", "asp", "aws", "azure"),
        *("backup", "basic", "bind", "bot", "card", "check", "client", "confirm", "confirmation"),
        *("consumer", "current", "db", "decryption", "device", "door", "download", "email"),
        *("encryption", "entry", "factor", "ftp", "g", "gcp", "github", "gitlab", "google", "gpg"),
        *("hook", "http", "id", "invitation", "invite", "j", "jsp", "licence", "license", "login"),
        *("magic", "master", "merchant", "mfa", "my", "net", "new", "number", "old", "one"),
        *("pairing", "pay", "payment", "pgp", "phone", "php", "private", "proxy", "public"),
        *("recovery", "refresh", "registration", "report", "request", "reset", "response", "rest"),
        *("root", "sas", "secure", "security", "server", "service", "share", "shared", "signing"),
        *("sms", "smtp", "ssh", "sso", "storage", "store", "stripe", "system", "temp", "time"),
        *("transaction", "trust", "two", "unlock", "user", "usr", "v", "value", "verification"),
        *("verify", "web", "webhook", "wp", "x"),
    )
)
"""Words that stand before or after secret words in names without separators: ``secretaccesskey``.
Next to other letters, as in ``compass`` and ``passenger``, a secret word is none."""

_ENDINGS = (
    *("key", "auth", "cred", "hash", "nonce", "otp", "pass", "psk", "psw", "pw", "pwd", "sid"),
    "tkn",
)
"""Ends of words that indicate a secret after any other letters: ``streamkey``, ``smtppass``."""

_NO_SECRETS = frozenset(
    (
        *("crikey", "dickey", "donkey", "flunkey", "hickey", "hockey"),
        *("hokey", "hotkey", "jockey", "jokey", "lackey", "latchkey", "malarkey", "mickey"),
        *("monkey", "okey", "pokey", "rickey", "smokey", "turkey", "turnkey", "whiskey"),
        *("backpass", "bandpass", "bypass", "compass", "encompass", "highpass", "lowpass"),
        *("outpass", "overpass", "surpass", "trespass", "underpass", "rehash", "sacred"),
    )
)
"""Words with such an end that indicate no secret."""

_ANYWHERE = re.compile(
    "passphrase|passw(?:or|ord|ort|d)|passcode|passkey|secret(?!ar)|token(?!i[sz])|credential"
    "|apikey|accesskey|sessi(?:d|on)|cookie|signature|assertion|authori[sz]ation"
    "|bearer|csrf|xsrf|jwt|hmac|oauth|saml|seedphrase"
    "|contraseni?a|kennwort|motdepasse|wachtwoord|katasandi|matkhau|connectionstring"
    "|captcha|magiclink|cardnumber|creditcard"
)
"""Letters long enough to indicate a secret inside any run of letters. ``tokenize`` and
``secretary`` are the common words that are exceptions."""

_STROKES = str.maketrans("\u0142\u0141\u00f8\u00d8\u0111\u0110\u0131", "lLoOdDi")
"""Letters with marks that Unicode does not take apart."""


def _without_marks(text: str) -> str:
    """The text with full-width letters narrowed, and without accents and invisible characters."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text.translate(_STROKES))
        if unicodedata.category(letter) not in ("Mn", "Cf")
    )


_AS_WRITTEN = tuple(
    _without_marks(
        "2fa "
        # Cyrillic, Greek, Hebrew.
        "\u043f\u0430\u0440\u043e\u043b \u0442\u043e\u043a\u0435\u043d "
        "\u0441\u0435\u043a\u0440\u0435\u0442 \u043a\u043b\u044e\u0447 "
        "\u03ba\u03c9\u03b4\u03b9\u03ba \u05e1\u05d9\u05e1\u05de "
        # Arabic script, Hindi, Thai.
        "\u0627\u0644\u0633\u0631 \u0627\u0644\u0645\u0631\u0648\u0631 \u0631\u0645\u0632 "
        "\u092a\u093e\u0938\u0935\u0930\u094d\u0921 \u0e23\u0e2b\u0e31\u0e2a "
        # Chinese, Japanese, Korean.
        "\u5bc6\u7801 \u5bc6\u78bc \u53e3\u4ee4 \u4ee4\u724c \u5bc6\u94a5 \u5bc6\u9470 "
        "\u9a8c\u8bc1\u7801 \u9a57\u8b49\u78bc \u6697\u8a3c "
        "\u30d1\u30b9\u30ef\u30fc\u30c9 \u30c8\u30fc\u30af\u30f3 "
        "\ube44\ubc00\ubc88\ud638 \uc554\ud638 \ud1a0\ud070"
    ).split()
)
"""Words for password, token, key, secret and code in other scripts, and one with a digit."""

_CAMEL_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of a camel-case name: ``AWSSecretKey`` is AWS, Secret and Key. Digits and other
characters separate words."""

_LETTERS = re.compile("[a-z]+")
_LONGEST_RUN = 40
"""Maximum letters of a word to split; no word in use is longer."""

_LONGEST_NAME = 200
"""Maximum letters of a name; no real name is longer."""

_DECODINGS = 4
_ENCODED_AGAIN = re.compile("%(?:25)+(?=[0-9a-fA-F]{2})")
"""Percent signs that were encoded repeatedly."""


def decoded(text: str) -> str:
    """A text without percent-encoding, even if it was encoded repeatedly."""
    for _ in range(_DECODINGS):
        plain = unquote_plus(_ENCODED_AGAIN.sub("%", text))
        if plain == text:
            break
        text = plain
    return text


def says_secret(name: str) -> bool:
    """True if a name indicates a secret: in any case, nested, encoded or without separators.

    Args:
        name: The name sent: ``report_key``, ``userToken``, ``user%5Bpassword%5D``, ``PHPSESSID``.
    """
    # Checked before the cache: clients choose the names.
    return len(name) > _LONGEST_NAME or _says_secret(name)


def is_only_name(text: str) -> bool:
    """True if a text that indicates a secret is a name alone, such as ``access_token``.

    Args:
        text: Without percent-encoding. Any word of it that is no known one may be the secret.
    """
    words = _LETTERS.findall(text.lower())
    return re.fullmatch(r"[A-Za-z_-]*", text) is not None and all(
        _is_secret(word) or word in _QUALIFIERS or _is_run_together(word) for word in words
    )


@lru_cache(maxsize=4_096)
def _says_secret(name: str) -> bool:
    plain = _without_marks(decoded(name))
    camel = {word.lower() for word in _CAMEL_WORD.findall(plain)}
    runs = _LETTERS.findall(plain.lower())
    # Without separators, because `pass_word` means the same as `password`.
    if _ANYWHERE.search("".join(runs)) or any(word in plain.lower() for word in _AS_WRITTEN):
        return True
    return any(
        _is_secret(word) or _ends_secret(word) or _is_run_together(word)
        for word in camel.union(runs)
    )


def _is_secret(word: str) -> bool:
    return word in _SECRETS or word.removesuffix("s") in _SECRETS


def _ends_secret(word: str) -> bool:
    """True if a word ends like the name of a secret, and is no common word that does."""
    return any(
        one.endswith(_ENDINGS) and one not in _NO_SECRETS for one in (word, word.removesuffix("s"))
    )


def _is_run_together(word: str) -> bool:
    """True if a word consists only of known words, at least one of which indicates a secret."""
    if len(word) > _LONGEST_RUN:
        return False
    # Prefix lengths that known words can fill: without a secret word, and with one.
    plain, telling = {0}, set[int]()
    for end in range(1, len(word) + 1):
        for begin in range(end):
            if begin not in plain | telling:
                continue
            part = word[begin:end]
            if _is_secret(part):
                telling.add(end)
            elif part in _QUALIFIERS:
                (telling if begin in telling else plain).add(end)
    return len(word) in telling
