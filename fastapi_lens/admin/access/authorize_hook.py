"""Asks the host's own check who may look. Knows no keys, no sessions and no pages."""

import inspect
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request

from fastapi_lens.config.authorize import Access, Authorize, access_of

logger = logging.getLogger("fastapi_lens")

QUIET_LOG_SECONDS = 60.0
_REFUSED = 403
_REDIRECTS, _ERRORS = range(300, 400), range(400, 600)

NOT_LET_IN = "this application does not let you look here: sign in to it as somebody who may"
FAILED = "this application could not check whether you may look here: its log says why"


@dataclass(frozen=True, slots=True)
class Denied:
    """The hook lets somebody not look.

    Attributes:
        status: Of the answer.
        sentence: What people are told.
        headers: Of the answer, as the hook's HTTPException has them.
    """

    sentence: str
    status: int = _REFUSED
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def location(self) -> str | None:
        """Where the hook sends people, to sign in for example; None where it sends them nowhere."""
        found = {name.lower(): value for name, value in self.headers.items()}.get("location")
        return found if self.status in _REDIRECTS else None


class Hook:
    """A hook, and when it was last complained of.

    Args:
        authorize: What the host has given.
        clock: Monotonic seconds.
    """

    def __init__(self, authorize: Authorize, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing yet."""
        self._authorize = authorize
        self._asynchronous = _is_async(authorize)
        self._clock = clock
        self._told_at = float("-inf")

    async def ask(self, request: HTTPConnection) -> Access | Denied:
        """Whether somebody may look; never raises, whatever the hook does."""
        # Without the body: the form in it is read, and bounded, after the check.
        question = Request(request.scope)
        try:
            verdict = access_of(await self._verdict(question))
        except HTTPException as error:
            return _denied(error)
        except Exception as error:  # noqa: BLE001  The host's own code, which opens nothing.
            self._complain(error)
            return Denied(FAILED)
        return verdict or Denied(NOT_LET_IN)

    async def _verdict(self, request: Request) -> object:
        """As FastAPI calls a dependency: what blocks runs in the host's pool of threads."""
        if self._asynchronous:
            found: Any = self._authorize(request)
        else:
            found = await run_in_threadpool(self._authorize, request)
        return await found if inspect.isawaitable(found) else found

    def _complain(self, error: Exception) -> None:
        """At most once a minute: anybody can make a hook fail again and again."""
        now = self._clock()
        if now - self._told_at >= QUIET_LOG_SECONDS:
            self._told_at = now
            logger.error(
                "fastapi_lens lets somebody not in, because authorize has failed", exc_info=error
            )


def _is_async(hook: Any) -> bool:
    while isinstance(hook, partial):
        hook = hook.func
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__)


def _denied(error: HTTPException) -> Denied:
    """What a hook says by raising is for the client, as in a dependency."""
    detail: Any = error.detail  # FastAPI's may be anything.
    sentence = detail if isinstance(detail, str) and detail else NOT_LET_IN
    headers = {
        name: value
        for name, value in (error.headers or {}).items()
        if not name.lower().startswith("content-")  # Of a body that is not sent.
    }
    denied = Denied(sentence, error.status_code, headers)
    if error.status_code in _ERRORS or denied.location is not None:
        return denied
    # A refusal is no success, and leads somewhere or nowhere.
    return Denied(sentence, headers=headers)
