"""Context: one request to the admin by somebody who may see it. Every view is given one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from fastapi_lens.admin.access.sessions import Session
from fastapi_lens.admin.audit import Action, Author
from fastapi_lens.admin.http.requests import address_of
from fastapi_lens.config.keys import Scope
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.records.audit import add_audit_entry


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request found the admin.

    Attributes:
        base: The admin's path as the client sees it, without a trailing slash.
        lens: The lens of the app that is asked about.
        back: The path of the page to come back to after signing in, as the client sees it.
    """

    base: str
    lens: Lens
    back: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """One request to the admin that has passed the access check.

    Attributes:
        request: The request; its query string is the page's state.
        lens: The lens of the app that is asked about.
        base: Where the admin is mounted as the client sees it, without a trailing slash:
            ``/lens``, or ``/api/internal/lens`` under prefixes and a root path.
        csrf_token: Goes into every form; empty where there is no session (local mode or key
            header), whose POSTs the origin check alone protects.
        signed_in: Whether there is a session to log out of.
        scope: What this visitor may do.
        actor: Who it is, for the audit log: the name of the key, or of what let them in.
        now: Epoch seconds of this request.
        form: What a POST has sent, which the router has checked to come from our own page.
        session: What there is to log out of, else None.
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
        """Whether forms that change something are shown; the router refuses their POSTs itself."""
        return self.scope is Scope.ADMIN

    @property
    def author(self) -> Author:
        """Who does something with this request, for the audit log."""
        return Author(self.actor, address_of(self.request), self.now)

    def record(self, action: Action, *, target: str = "", after: str = "") -> None:
        """Note in the audit log that the visitor does something.

        Args:
            action: What it is.
            target: What it is done to.
            after: What is there then.

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
