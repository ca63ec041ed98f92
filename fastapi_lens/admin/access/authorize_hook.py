"""Calls the host's own access check. Knows no keys, no sessions and no pages."""

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

NOT_LET_IN = "this application does not grant you access: sign in as a user who has it"
FAILED = "this application could not check your access: its log says why"


@dataclass(frozen=True, slots=True)
class Denied:
    """Access that the hook refused.

    Attributes:
        status: Status of the response.
        sentence: Message for the client.
        headers: Headers of the hook's HTTPException, for the response.
    """

    sentence: str
    status: int = _REFUSED
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def location(self) -> str | None:
        """The target of the hook's redirect, for example a login page; None without one."""
        # The host may write the names of its headers in any case.
        found = {name.lower(): value for name, value in self.headers.items()}.get("location")
        return found if self.status in _REDIRECTS else None


class Hook:
    """A hook, with a limit for the log messages about its failures.

    Args:
        authorize: The host's hook.
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, authorize: Authorize, clock: Callable[[], float] = time.monotonic) -> None:
        """Call nothing yet."""
        self._authorize = authorize
        self._asynchronous = _is_async(authorize)
        self._clock = clock
        self._logged_at = float("-inf")

    async def ask(self, request: HTTPConnection) -> Access | Denied:
        """The hook's decision about a request; never raises, whatever the hook does."""
        # Without the body, which is read and limited after the check.
        question = Request(request.scope)
        try:
            verdict = access_of(await self._verdict(question))
        except HTTPException as error:
            return _denied(error)
        except Exception as error:  # noqa: BLE001  Any failure of the host's code refuses access.
            self._log_failure(error)
            return Denied(FAILED)
        return verdict or Denied(NOT_LET_IN)

    async def _verdict(self, request: Request) -> object:
        """The hook's result. As in FastAPI, a synchronous hook runs in the host's thread pool."""
        if self._asynchronous:
            found: Any = self._authorize(request)
        else:
            found = await run_in_threadpool(self._authorize, request)
        # A plain function may return a coroutine, as a lambda around an asynchronous one does.
        return await found if inspect.isawaitable(found) else found

    def _log_failure(self, error: Exception) -> None:
        """Log a failure, at most once a minute, because any client may cause one."""
        now = self._clock()
        if now - self._logged_at >= QUIET_LOG_SECONDS:
            self._logged_at = now
            logger.error(
                "fastapi_lens refused access, because authorize has failed", exc_info=error
            )


def _is_async(hook: Any) -> bool:
    while isinstance(hook, partial):
        hook = hook.func
    # inspect does not see that an object's `__call__` is asynchronous.
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__)


def _denied(error: HTTPException) -> Denied:
    """The refusal of a hook that raised an HTTPException, whose message is for the client."""
    detail: Any = error.detail  # Of any type in FastAPI.
    sentence = detail if isinstance(detail, str) and detail else NOT_LET_IN
    headers = {
        name: value
        for name, value in (error.headers or {}).items()
        if not name.lower().startswith("content-")  # They describe a body that is not sent.
    }
    denied = Denied(sentence, error.status_code, headers)
    if error.status_code in _ERRORS or denied.location is not None:
        return denied
    # A status of success, or a redirect without a target, becomes a plain refusal.
    return Denied(sentence, headers=headers)
