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
        *(
            "authorization",
            "authz",
            "bearer",
            "chave",
            "clave",
            "clef",
            "code",
            "connstr",
            "cookie",
        ),
        *("cred", "credential", "csrf", "cvc", "cvn", "cvv", "dsn", "geheim", "geslo", "hash"),
        *("haslo", "heslo", "hmac", "hotp", "jelszo", "jwt", "key", "keyphrase", "klucz", "llave"),
        *(
            "losenord",
            "lozinka",
            "mdp",
            "mfa",
            "mnemonic",
            "nonce",
            "oauth",
            "otp",
            "parola",
            "pass",
        ),
        *("passcode", "passe", "passkey", "passord", "passphrase", "passw", "passwd", "password"),
        *("passwort", "passwrd", "pat", "pem", "pgt", "pin", "psk", "psswd", "psswrd", "pswd"),
        *("psw", "pw", "pwd", "pword", "pwrd", "salasana", "saml", "schluessel", "schlussel"),
        *("secret", "senha", "sess", "session", "sid", "sifre", "sig", "sign", "signature", "sk"),
        *("slaptazodis", "tfa", "ticket", "tkn", "tok", "token", "totp", "twofa", "upass"),
        *("verifier", "wresult", "xsrf"),
    )
)
"""Words that indicate a secret by themselves, also in the plural."""

_QUALIFIERS = frozenset(
    (
        *("access", "account", "activation", "admin", "amz", "api", "app", "asp", "aws", "azure"),
        *("backup", "basic", "bot", "card", "check", "client", "confirm", "confirmation"),
        *("consumer", "current", "db", "decryption", "device", "download", "email", "encryption"),
        *("fa", "factor", "ftp", "g", "gcp", "github", "gitlab", "google", "gpg", "hook", "http"),
        *("id", "invitation", "invite", "j", "jsp", "license", "licence", "login", "magic"),
        *("master", "merchant", "mfa", "my", "net", "new", "old", "pay", "payment", "pgp", "php"),
        *("phone", "private", "proxy", "public", "recovery", "refresh", "registration", "report"),
        *("request", "reset", "response", "rest", "root", "sas", "secure", "security", "server"),
        *("service", "share", "shared", "signing", "sms", "smtp", "ssh", "sso", "storage"),
        *("stripe", "system", "temp", "transaction", "two", "unlock", "user", "usr", "v"),
        *("verification", "verify", "web", "webhook", "wp", "x"),
    )
)
"""Words that stand before or after secret words in names without separators: ``secretaccesskey``.
Next to other letters, as in ``compass`` and ``passenger``, a secret word is none."""

_NO_KEYS = frozenset(
    (
        *("crikey", "dickey", "donkey", "flunkey", "hickey", "hockey"),
        *("hokey", "hotkey", "jockey", "jokey", "lackey", "latchkey", "malarkey", "mickey"),
        *("monkey", "okey", "pokey", "rickey", "smokey", "turkey", "turnkey", "whiskey"),
    )
)
"""Words that end like ``key`` and indicate no secret; any other, as ``streamkey``, does."""

_ANYWHERE = re.compile(
    "passphrase|passw(?:or|ord|ort|d)|passcode|passkey|secret(?!ar)|token(?!i[sz])|credential"
    "|apikey|accesskey|sessi(?:d|on)|cookie|signature|assertion|authori[sz]ation"
    "|bearer|csrf|xsrf|jwt|hmac|oauth|saml|seedphrase"
    "|contrasena|kennwort|motdepasse|wachtwoord|katasandi|matkhau|connectionstring"
)
"""Letters long enough to indicate a secret inside any run of letters. ``tokenize`` and
``secretary`` are the common words that are exceptions."""

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
    if _ANYWHERE.search("".join(runs)):
        return True
    return any(
        _is_secret(word) or _is_key(word) or _is_run_together(word) for word in camel.union(runs)
    )


def _without_marks(text: str) -> str:
    """The text with full-width letters narrowed, and without accents and invisible characters."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if unicodedata.category(letter) not in ("Mn", "Cf")
    )


def _is_secret(word: str) -> bool:
    return word in _SECRETS or word.removesuffix("s") in _SECRETS


def _is_key(word: str) -> bool:
    """True if a word ends like the name of a key, and is no common word that does."""
    one = word.removesuffix("s")
    return one.endswith("key") and one not in _NO_KEYS


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
