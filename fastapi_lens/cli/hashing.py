"""``hash-key``: the hash of a key. Opens no database."""

import getpass
import secrets
import sys

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.config.keys import hash_key, problem_with

EMPTY = "the key is empty: give it on standard input"


def hashed_key() -> str:
    """Read a key from the terminal without echo, or from standard input; never from an argument.

    Raises:
        CommandError: It is empty, is no valid text, or contains characters that cannot be sent.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  It was closed.
        raise CommandError(Exit.USAGE, EMPTY)
    try:
        asks = sys.stdin.isatty()
        # Never an argument: other users see it in the list of processes, and shells keep it.
        key = getpass.getpass("Key: ") if asks else sys.stdin.readline().rstrip("\r\n")
        # With the locale C, undecodable bytes appear as lone surrogates.
        key.encode()
    except UnicodeError:
        raise CommandError(Exit.USAGE, "the key is not text in this terminal's encoding") from None
    if not key.strip():
        raise CommandError(Exit.USAGE, EMPTY)
    if problem := problem_with(key):
        raise CommandError(Exit.USAGE, f"the key {problem}")
    return hash_key(key, secrets.token_bytes(16))
