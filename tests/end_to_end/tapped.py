"""The example project with a tap: every duration that the recorder takes also goes to a file.

For a server process of the test that compares the report with what really happened.
"""

import os
from pathlib import Path

from example_project.factory import create_app
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.series import Series
from fastapi_lens.runtime import lens


class TappedRecorder(Recorder):
    """A recorder that also writes down what it counts, one line per call."""

    def series(self, method: str, path: str, status: int) -> Series:
        found = super().series(method, path, status)
        self.keys = {**getattr(self, "keys", {}), id(found): (method, path, status)}
        return found

    def add(self, series: Series, duration_ns: int) -> None:
        super().add(series, duration_ns)
        method, path, status = self.keys[id(series)]
        line = f"{method}\t{path}\t{status}\t{duration_ns}\n"
        # One write in append mode, so that lines of several workers do not mix.
        os.write(LOG, line.encode())


LOG = os.open(Path(os.environ["TAP_FILE"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
setattr(lens, "Recorder", TappedRecorder)  # noqa: B010  It is not exported.
app = create_app()
