"""Notifications: what became of the latest, in words, and a test message. No HTML."""

from starlette.responses import Response

from fastapi_lens.admin.audit import TEST_MESSAGE
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.pages.settings.page import section_page
from fastapi_lens.admin.pages.settings.reply import Reply
from fastapi_lens.config.setting import Section

DELIVERED = "delivered"


def send_test(context: Context) -> Response:
    """``POST /settings/notifications/test``: the section with the result, after 8 s at most."""
    problem = context.lens.notifier.send_test(by=context.actor)
    context.record(TEST_MESSAGE, after=problem or DELIVERED)
    section = Section.NOTIFICATIONS.value
    if problem:
        return section_page(context, Reply(section=section, sentence=f"Not sent: {problem}."))
    return section_page(context, Reply(section=section, said="Test message sent."))
