"""CSRF tokens in forms, with a new mask in each response. Knows no sessions and no HTML.

The length of a compressed response reveals if two texts in it are equal, so an attacker could guess
a secret that is the same in many responses (BREACH, https://www.breachattack.com). A masked token
is a random pad, and the exclusive or of the token and the pad.
"""

import hmac
import secrets


def masked(token: str) -> str:
    """A masked token for one response: hexadecimal digits, four for each character."""
    plain = token.encode()
    pad = secrets.token_bytes(len(plain))
    return (pad + _combined(pad, plain)).hex()


def is_masked(carried: str, token: str) -> bool:
    """True if a form sent a token, with any mask; takes the same time for any token."""
    plain = token.encode()
    try:
        both = bytes.fromhex(carried)
    except ValueError:
        return False
    # fromhex also accepts spaces and capitals, which no form of ours contains.
    if len(both) != 2 * len(plain) or both.hex() != carried:
        return False
    return hmac.compare_digest(_combined(both[: len(plain)], both[len(plain) :]), plain)


def _combined(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))
