"""The nginx of the tests.

Looked for in this order: ``LENS_TEST_NGINX`` (the program), PATH, the folders that are in root's
PATH only, and ``.nginx/``. ``python -m scripts.nginx --install`` unpacks Debian's package there
where there is none.
"""

import sys
from pathlib import Path

from scripts.unpacked import UnpackedProgram

PROGRAM = UnpackedProgram(
    name="nginx",
    variable="LENS_TEST_NGINX",
    folders=("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin"),
    unpacked=Path(__file__).parents[1] / ".nginx",
)
LEFT_OUT = PROGRAM.left_out
find = PROGRAM.find

if __name__ == "__main__":
    sys.exit(PROGRAM.main())
