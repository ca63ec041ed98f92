"""The commit at which a branch left its base, as git knows it. Runs git."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_lens.cli.exit_codes import CommandError, Exit

FETCH = "fetch the whole history (actions/checkout: fetch-depth: 0)"
_REVISION = re.compile(r"[A-Za-z0-9_@][\w@{}^~./+-]{0,250}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{7,64}")
_TAG = re.compile(r"[A-Za-z0-9_][\w./+-]{0,200}", re.ASCII)
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class MergeBase:
    """A commit.

    Attributes:
        revision: As it was named.
        committed_at: Epoch seconds.
        is_shallow: True if the clone has only a part of the history.
    """

    revision: str
    committed_at: float
    is_shallow: bool = False

    def may_have_release(self, name: str) -> bool:
        """True if git knows a release by its tag or commit, and this commit contains it.

        Also in a shallow clone, where git may know neither the release nor what contains it.

        Args:
            name: Such as ``2026.11.3``, of a tag with or without a ``v``, or a commit's hash.
        """
        commits = [name] if _HASH.fullmatch(name) else []
        if _TAG.fullmatch(name):
            commits += [f"refs/tags/{name}", f"refs/tags/v{name}"]
        return self.is_shallow or any(
            _git(("merge-base", "--is-ancestor", f"{commit}^{{commit}}", self.revision)) is not None
            for commit in commits
        )


def merge_base(revision: str) -> MergeBase:
    """A commit by its hash, or by another revision.

    Raises:
        CommandError: There is no git, or it knows no such commit.
    """
    if not _REVISION.fullmatch(revision):
        raise CommandError(
            Exit.USAGE, f"--merge-base must be a commit, as git merge-base prints it; {FETCH}"
        )
    text = _git(
        (
            "-c",
            # A user's setting would print signatures before the time.
            "log.showSignature=false",
            "log",
            "-1",
            "--format=%ct",
            f"{revision}^{{commit}}",
            # Ends the revisions: a file of that name would make it ambiguous.
            "--",
        )
    )
    if text is None:
        raise CommandError(Exit.USAGE, f"git does not know --merge-base {revision}: {FETCH}")
    is_shallow = _git(("rev-parse", "--is-shallow-repository")) == "true\n"
    return MergeBase(revision, float(text), is_shallow)


def _git(arguments: Sequence[str]) -> str | None:
    """The output of git; None if it fails.

    Raises:
        CommandError: There is no git, or it does not end.
    """
    try:
        done = subprocess.run(  # noqa: S603  The arguments are checked, and none is an option.
            ("git", *arguments),  # noqa: S607  Found through PATH, as a shell does.
            capture_output=True,
            check=False,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(Exit.USAGE, f"--merge-base needs git: {error}") from error
    return done.stdout if done.returncode == 0 else None
