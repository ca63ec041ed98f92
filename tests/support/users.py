"""Other users than the one who runs the tests."""

import os
import pwd
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def unprivileged() -> Generator[None]:
    """Be nobody for a while, where this is root, who may do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
