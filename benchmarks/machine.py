"""Machine and versions of a measurement; prints JSON: ``python -m benchmarks.machine``."""

import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "sqlalchemy",
    "opentelemetry-sdk",
    "prometheus-fastapi-instrumentator",
    "fastapi-radar",
)


def versions() -> dict[str, str]:
    """Versions of this interpreter and of what is installed of `PACKAGES`."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The processor, its cores and the kernel, in one line."""
    cores = os.cpu_count() or 1
    noun = "core" if cores == 1 else "cores"
    return f"{_processor()}, {cores} {noun}, {platform.system()} {platform.release()}"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


if __name__ == "__main__":
    print(json.dumps(versions()))
