"""The JSON Schema of notifications: `make interface` writes docs/notification.schema.json."""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi_lens.notifications.notice import Notice
from scripts.report_schema import DIALECT, WithoutTitles

FILE = Path(__file__).resolve().parent.parent / "docs" / "notification.schema.json"


class Notification(Notice):
    """The body of a request to the webhook.

    `text` is for Slack; `type` and `attachments` are for Teams and missing for Slack.
    """

    text: str
    type: str | None = None
    attachments: list[dict[str, Any]] | None = None


def text() -> str:
    """The file."""
    schema = Notification.model_json_schema(mode="serialization", schema_generator=WithoutTitles)
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
