"""``hash-key``: a key as text that does not tell it. Opens no database."""

import getpass
import secrets
import sys

from fastapi_lens.cli.exits import CommandError, Exit
from fastapi_lens.keys import hash_key, problem_with


def hashed_key() -> str:
    """Read a key from the terminal, unseen, or a line of standard input; never an argument.

    Raises:
        CommandError: It is empty, or nobody could send it.
    """
    key = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not key.strip():
        raise CommandError(Exit.USAGE, "the key is empty: give it on standard input")
    if problem := problem_with(key):
        raise CommandError(Exit.USAGE, f"the key {problem}")
    return hash_key(key, secrets.token_bytes(16))
