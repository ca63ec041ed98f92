"""Distributions on the index that hold a package named fastapi_lens. Imports nothing of ours."""

import logging
from importlib.metadata import PackageNotFoundError, distribution

OURS = "fastapi-lens-admin"
"""The distribution that this package is a part of."""

CONFLICTING = "fastapi-lens"
"""Somebody else's distribution, with a package of the same name."""

logger = logging.getLogger("fastapi_lens")


def warn_of_conflict() -> None:
    """Log one sentence where both distributions are installed.

    Installers write both into one folder without a word, so that files of either are missing.
    """
    try:
        distribution(CONFLICTING)
    except PackageNotFoundError:
        return
    # Logged, not `warnings.warn`: a host may turn warnings into errors, and has to start anyway.
    logger.warning(
        "fastapi_lens: the distributions %(theirs)s and %(ours)s are both installed and overwrite "
        "each other's files: run pip uninstall -y %(theirs)s && "
        "pip install --force-reinstall --no-deps %(ours)s",
        {"theirs": CONFLICTING, "ours": OURS},
    )
