"""CSRF tokens as forms carry them: masked anew in each answer. Knows no sessions and no HTML.

Compression makes an answer shorter where two texts in it are alike, from which others could learn
a secret that is the same in many answers (BREACH, https://www.breachattack.com). A masked token is
a random pad, and the token combined with it by exclusive or.
"""

import hmac
import secrets


def masked(token: str) -> str:
    """A token for one answer: hexadecimal digits, four for each character."""
    plain = token.encode()
    pad = secrets.token_bytes(len(plain))
    return (pad + _combined(pad, plain)).hex()


def is_masked(carried: str, token: str) -> bool:
    """Whether a form carries a token, masked in whatever way; takes as long for any of them."""
    plain = token.encode()
    try:
        both = bytes.fromhex(carried)
    except ValueError:
        return False
    if len(both) != 2 * len(plain) or both.hex() != carried:
        return False
    return hmac.compare_digest(_combined(both[: len(plain)], both[len(plain) :]), plain)


def _combined(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))
