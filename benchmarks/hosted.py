"""An application on a host of its own: name and clock come from the environment.

Both are changed before the lens is imported, which takes its clock then.
"""

import os
import socket
import time

_ahead_seconds = float(os.environ["HOSTED_AHEAD_SECONDS"])
_right = time.time

time.time = lambda: _right() + _ahead_seconds
socket.gethostname = lambda: os.environ["HOSTED_NAME"]

from benchmarks.troubled import app  # noqa: E402  See above.

__all__ = ["app"]
