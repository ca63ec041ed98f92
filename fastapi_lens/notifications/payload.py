"""The body of a request: a notification with the texts that chats show. Pure.

Slack and its like read `text`, the workflows of Teams `type` and `attachments`. Slack gives
`attachments` another meaning, so its own addresses get none.
"""

import json
from typing import Any

from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.notifications.notice import Notice
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.markdown import backslashed

MAX_BYTES = 24_000
"""Bytes of a body; Teams takes 28 KB."""

MAX_TEXT = 300
"""Characters of a line of a text for people."""

_SLACK = ("slack.com", "slack-gov.com")


def body_of(notice: Notice, url: WebhookUrl) -> bytes:
    """The JSON to send; as many endpoints as `MAX_BYTES` allow.

    Args:
        notice: The notification.
        url: The receiver.
    """
    is_slack = url.host.endswith(tuple(f".{domain}" for domain in _SLACK))
    while True:
        body = json.dumps(_payload(notice, is_slack=is_slack)).encode()
        if len(body) <= MAX_BYTES or not notice.endpoints:
            return body
        notice = notice.model_copy(
            update={"endpoints": notice.endpoints[:-1], "more": notice.more + 1}
        )


def _payload(notice: Notice, *, is_slack: bool) -> dict[str, Any]:
    payload = {**notice.model_dump(mode="json"), "text": _slack_text(notice)}
    if not is_slack:
        payload |= {"type": "message", "attachments": [_teams_attachment(notice)]}
    return payload


def _slack_text(notice: Notice) -> str:
    """A text in Slack's own markup, in which ``<…>`` is a link or a mention."""
    lines = [f"*{_slack(notice.title)}*", *(f"• {_slack(line)}" for line in notice.lines)]
    # Between angle brackets a vertical bar would begin the name of the link.
    link = [f"<{_slack(notice.url).replace('|', '%7C')}>"] if notice.url else []
    return "\n".join([*lines, *link])


def _slack(text: str) -> str:
    shown = _short(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A space without width keeps a path from being read as bold, italic, struck or code.
    return "".join(f"{letter}\u200b" if letter in "*_~`" else letter for letter in shown)


def _teams_attachment(notice: Notice) -> dict[str, Any]:
    """An Adaptive Card, whose texts are a small Markdown."""
    blocks = [{"text": backslashed(_short(notice.title)), "weight": "Bolder"}]
    blocks += [{"text": "• " + backslashed(_short(line))} for line in notice.lines]
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "wrap": True, **block} for block in blocks],
    }
    if notice.url:
        action = {"type": "Action.OpenUrl", "title": "Open the lens", "url": notice.url}
        content["actions"] = [action]
    return {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
