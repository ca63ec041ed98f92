"""Creation of a lens's authenticator. Knows no requests and no pages."""

import hmac

from starlette.concurrency import run_in_threadpool

from fastapi_lens.admin.access.authenticator import Authenticator
from fastapi_lens.admin.access.sessions import sessions_of
from fastapi_lens.admin.access.throttle import Throttle
from fastapi_lens.admin.access.wrong_keys import WrongKeys
from fastapi_lens.runtime.lens import Lens


async def authenticator_of(lens: Lens) -> Authenticator:
    """The authenticator of a lens, created at its first use.

    Raises:
        SchemaTooNewError: A newer release has migrated the database.
        StorageError: The salt of the session keys cannot be read.
    """
    if lens.flusher.refused is not None:
        raise lens.flusher.refused

    authenticator = lens.known(Authenticator)
    if authenticator is not None:
        return authenticator  # Without a thread, which unauthenticated requests could exhaust.
    # Before `make`, which runs under the lock of `get_or_create`: a second use would block forever.
    sessions = sessions_of(lens)

    def make() -> Authenticator:
        lens.prepare()
        secret = lens.config.key_required or lens.config.authorize is not None
        # Without a key and a hook nothing is signed, so no salt has to be read.
        salt = lens.session_salt() if secret else b""
        throttle = Throttle(
            lens.database,
            hmac.digest(salt, lens.app_name.encode(), "sha256"),
            WrongKeys(lens.database, lens.app_name, lens.config.login_max_failures).note,
            max_failures=lens.config.login_max_failures,
            window_seconds=lens.config.login_window_seconds,
        )
        return Authenticator(lens.config, salt, throttle, sessions, lens.app_name)

    return await run_in_threadpool(lens.get_or_create, Authenticator, make)
