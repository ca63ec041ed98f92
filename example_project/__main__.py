"""``python -m example_project``: the demo, with its address, its traffic and its past."""

import sys

from example_project.launcher import main

sys.exit(main(sys.argv[1:]))
