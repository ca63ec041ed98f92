"""The PgBouncer of the tests.

Looked for in this order: ``LENS_TEST_PGBOUNCER`` (the program), PATH, the folders that are in
root's PATH only, and ``.pgbouncer/``. ``python -m scripts.pgbouncer --install`` unpacks Debian's
package there where there is none.
"""

import sys
from pathlib import Path

from scripts.unpacked import UnpackedProgram

PROGRAM = UnpackedProgram(
    name="pgbouncer",
    variable="LENS_TEST_PGBOUNCER",
    folders=("/usr/sbin", "/usr/local/sbin"),
    unpacked=Path(__file__).parents[1] / ".pgbouncer",
    libraries=("libc-ares2", "libevent-2.1-7"),
    asks_version="--version",
)
LEFT_OUT = PROGRAM.left_out
find = PROGRAM.find

if __name__ == "__main__":
    sys.exit(PROGRAM.main())
