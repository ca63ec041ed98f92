"""Context: one request to the admin with granted access. Every view takes one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from fastapi_lens.admin.access.sessions import Session
from fastapi_lens.admin.audit import Action, Author
from fastapi_lens.admin.http.requests import address_of
from fastapi_lens.config.keys import Scope
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.records.audit import add_audit_entry

ZONE_COOKIE = "lens_zone"
"""The cookie with the name of the browser's zone, while its local time is shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """Place of the admin in a request.

    Attributes:
        base: The admin's path as the client sees it, without a trailing slash.
        lens: The lens of the app.
        back: The path of the page to return to after signing in, as the client sees it.
    """

    base: str
    lens: Lens
    back: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """One request to the admin that has passed the access check.

    Attributes:
        request: The request; its query string is the page's state.
        lens: The lens of the app.
        base: Where the admin is mounted as the client sees it, without a trailing slash:
            ``/lens``, or ``/api/internal/lens`` under prefixes and a root path.
        csrf_token: Token for every form; empty without a session (local mode or key header),
            where the origin check protects POSTs.
        signed_in: True if there is a session to log out of.
        scope: Scope of the visitor.
        actor: Name for the audit log: that of the key, or of the way in.
        now: Epoch seconds of this request.
        form: Fields of a POST, which the router has checked to come from our own page.
        session: The session to log out of; None without one.
        navigation: The entries of the bar: name, and path below the prefix.
    """

    request: Request
    lens: Lens
    base: str
    csrf_token: str
    signed_in: bool
    scope: Scope
    actor: str
    now: float
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    session: Session | None = None
    navigation: tuple[tuple[str, str], ...] = ()

    @property
    def may_change(self) -> bool:
        """True if forms that change something are shown; the router refuses other POSTs itself."""
        return self.scope is Scope.ADMIN

    @property
    def zone(self) -> str:
        """The zone of times that the browser named; empty for UTC. It may be any text."""
        return self.request.cookies.get(ZONE_COOKIE, "")

    @property
    def author(self) -> Author:
        """The author of actions of this request, for the audit log."""
        return Author(self.actor, address_of(self.request), self.now)

    def record(self, action: Action, *, target: str = "", after: str = "") -> None:
        """Write an action of the visitor to the audit log.

        Args:
            action: The action.
            target: The object of the action.
            after: The value after it.

        Raises:
            StorageError: The database cannot be written.
        """
        entry = self.author.did(action, target=target, after=after)
        add_audit_entry(self.lens.database, self.lens.app_name, entry)

    def url(self, path: str) -> str:
        """The address of a page of the admin as the client sees it.

        Args:
            path: Below the admin's prefix, starting with a slash: ``/endpoints/00ab``.
        """
        return self.base + path
