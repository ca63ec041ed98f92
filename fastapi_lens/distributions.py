"""Distributions on PyPI that contain a package named fastapi_lens. Imports no module of ours."""

import logging
from importlib.metadata import PackageNotFoundError, distribution

OURS = "fastapi-lens-admin"
"""The distribution that contains this package."""

CONFLICTING = "fastapi-lens"
"""A distribution by another author, with a package of the same name."""

logger = logging.getLogger("fastapi_lens")


def warn_of_conflict() -> None:
    """Log one sentence if both distributions are installed.

    Installers silently write both into one directory, so that files of either are missing.
    """
    try:
        distribution(CONFLICTING)
    except PackageNotFoundError:
        return
    # Logged, not `warnings.warn`: the host must start even if it turns warnings into errors.
    logger.warning(
        "fastapi_lens: the distributions %(theirs)s and %(ours)s are both installed and overwrite "
        "each other's files: run pip uninstall -y %(theirs)s && "
        "pip install --force-reinstall --no-deps %(ours)s",
        {"theirs": CONFLICTING, "ours": OURS},
    )
