"""Visit: one request to the admin by somebody who may see it. What every view is given."""

from dataclasses import dataclass

from starlette.requests import Request

from fastapi_lens.runtime import Lens


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the admin that has passed the access check.

    Attributes:
        request: The request; its query string is the page's state.
        lens: The lens of the app that is asked about.
        base: Where the admin is mounted as the client sees it, without a trailing slash:
            ``/lens``, or ``/api/internal/lens`` under prefixes and a root path.
        csrf_token: Goes into every form; empty where there is no session (local mode or key
            header), whose POSTs the origin check alone protects.
        signed_in: Whether there is a session to log out of.
        now: Epoch seconds of this request.
    """

    request: Request
    lens: Lens
    base: str
    csrf_token: str
    signed_in: bool
    now: float

    def url(self, path: str) -> str:
        """The address of a page of the admin as the client sees it.

        Args:
            path: Below the admin's prefix, starting with a slash: ``/endpoints/00ab``.
        """
        return self.base + path
