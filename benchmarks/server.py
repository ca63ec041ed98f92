"""One variant under uvicorn, for the measurement of requests per second. Measures nothing.

``python -m benchmarks.server VARIANT PORT FOLDER``
"""

import sys
from pathlib import Path

import uvicorn

from benchmarks.apps import build
from benchmarks.throughput import PLAIN, shape_of, variant_of
from benchmarks.variants import VARIANTS

KEEP_ALIVE_SECONDS = 600
"""A connection waits for its turn while the other servers are asked."""


def main(name: str, port: int, folder: Path) -> None:
    """Serve until a signal ends it."""
    app = build(VARIANTS[variant_of(name)], shape_of(name), folder)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
    config.timeout_keep_alive = KEEP_ALIVE_SECONDS
    if name.startswith(PLAIN):
        config.loop, config.http = "asyncio", "h11"
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
