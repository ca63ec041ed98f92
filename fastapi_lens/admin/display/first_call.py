"""The first call of an application: a command, or the endpoint in words. No HTML."""

import shlex
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.recording.routes.first_call import first_call, root_of


@dataclass(frozen=True, slots=True)
class FirstCall:
    """A call that is counted.

    Attributes:
        command: For a shell; empty if a command cannot say it.
        words: A sentence instead of the command; empty with one.
    """

    command: str = ""
    words: str = ""


def first_call_of(context: Context) -> FirstCall:
    """The first call of an application whose endpoints have no calls yet."""
    lens = context.lens
    rules, app = lens.settings.rules, lens.routes.app

    def is_counted(method: str, path: str) -> bool:
        return lens.is_recorded(method, path) and not rules.covers(method, path)

    call = first_call(app, is_counted)
    if call is None:
        return FirstCall(words="No endpoint is counted: each of them is excluded or ignored.")
    if not call.target:
        return FirstCall(words=f"Call {call.method} {call.template}, with your client or a test.")
    url = context.request.url
    # Templates lack the path under which a proxy or a server offers the application.
    address = f"{url.scheme}://{url.netloc}{root_of(app, context.base)}{call.target}"
    return FirstCall(command=f"curl {shlex.quote(address)}")
