"""Whether a process of this host still runs. Knows no workers."""

import os
import time

_IMPORTED_AT = time.time()


def is_gone(pid: int, started_at: float) -> bool:
    """Whether the process that had this number is known to run no more.

    Args:
        pid: Its number on this host.
        started_at: Epoch seconds at which it ran already.
    """
    if pid == os.getpid():
        # Ours now: in a container every process that is started anew has the same number.
        return started_at < _IMPORTED_AT
    if os.name != "posix":  # pragma: no cover  Signal 0 is no question on Windows.
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
