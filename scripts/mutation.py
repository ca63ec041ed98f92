"""Mutation testing with mutmut: `make mutation` changes the code, and tests should notice.

mutmut makes mutants: copies of a function with one small change each. A mutant is killed if a test
fails or runs out of time, and survives if all pass. The modules are those that must not be wrong
unnoticed. Each runs in a folder of its own below ``.mutation/``, with its own tests only; there,
``mutmut browse`` and ``mutmut show`` look into the last run.

What was found goes into tests/mutation/RESULTS.md. Why a survivor is left alive stands in
tests/mutation/survivors.toml, which people write; a survivor without a reason is a failure, and so
is a module below `LEAST_KILLED`.

``python -m scripts.mutation status drain`` runs these two; ``--all`` runs every mutant of modules
of which else a sample is drawn; ``--again`` runs those once more that survived the last run, after
new tests for them.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from mutmut.configuration import reset_config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

from benchmarks.sections import write_section

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ROOT / ".mutation"
RESULTS = ROOT / "tests" / "mutation" / "RESULTS.md"
REASONS = ROOT / "tests" / "mutation" / "survivors.toml"
PACKAGE = "fastapi_lens"

LEAST_KILLED = 0.85
"""Share of the mutants of each module that tests have to kill."""

SEED = 24
"""Of the samples, so that a second run draws the same mutants of the same code."""

LEAST_SECONDS, TIMES = 4.0, 15.0
"""A mutant gets so many times the seconds that its tests take without it, and so many more."""

PYTEST = (
    *("-m", "not program and not unmeasured"),
    *("-p", "no:cacheprovider", "--hypothesis-profile=mutation"),
    # It collects garbage so often that this takes most of the time of a mutant.
    *("-p", "no:unraisableexception"),
)
LINKED = ("benchmarks", "example_project", PACKAGE, "scripts", "static", "templates", "tests")
KILLED = frozenset({"killed", "timeout", "segfault"})


class Module(NamedTuple):
    """Files that are mutated together.

    Attributes:
        files: Their paths below the package, or patterns.
        tests: Paths below ``tests`` of the tests that should kill the mutants.
        sample: Number of mutants that are drawn at random; None for all.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    sample: int | None = None


MODULES: Mapping[str, Module] = {
    "status": Module(("settings/status.py",), ("settings/test_status.py",)),
    "histogram": Module(("histogram/*.py",), ("histogram",), sample=60),
    "verdict": Module(
        ("verdict/*.py",),
        # Without the properties, which take longer than all others together.
        (
            "verdict/test_callers.py",
            "verdict/test_days.py",
            "verdict/test_needs.py",
            "verdict/test_overrides.py",
            "verdict/test_sentences.py",
            "verdict/test_silence.py",
            "verdict/test_verdict.py",
        ),
        sample=100,
    ),
    "authenticator": Module(
        ("admin/access/authenticator.py",),
        (
            "admin/access/test_access.py",
            "admin/access/test_cookies.py",
            "admin/access/test_foreign_tokens.py",
            "admin/access/test_hook.py",
            "admin/access/test_sessions.py",
        ),
        sample=60,
    ),
    "sequence-guard": Module(
        ("storage/coordination/sequence.py", "storage/writing/inbox.py"),
        ("storage/coordination/test_sequence.py", "storage/writing/test_inbox.py"),
        sample=60,
    ),
    "aggregate": Module(
        ("reporting/totals/aggregate.py",), ("reporting/totals/test_aggregate.py",)
    ),
    "drain": Module(
        ("storage/writing/drain.py",),
        (
            "storage/writing/test_drain.py",
            # Its tests of the numbers that wait.
            "storage/writing/test_inbox.py",
            "storage/writing/test_refused_values.py",
            "storage/writing/test_callers.py",
            "storage/writing/test_caller_times.py",
            "storage/writing/test_endpoint_changes.py",
            "reporting/test_waiting_counts.py",
            "reporting/test_open_calls.py",
            "recording/flush/test_draining.py",
            "storage/coordination/test_observed.py",
        ),
        sample=60,
    ),
}


class Change(NamedTuple):
    """The change of a mutant.

    Attributes:
        file: Path in the repository.
        line: The line as it is; lines with a space between them where several are changed.
        mutant: The same as the mutant has it; empty where it is removed.
    """

    file: str
    line: str
    mutant: str


@dataclass(frozen=True)
class Run:
    """The outcome of one module.

    Attributes:
        made: Number of mutants of the module.
        statuses: Number of mutants that were run, by mutmut's word for what became of them.
        survivors: Those that no test has killed.
    """

    made: int
    statuses: Counter[str]
    survivors: tuple[Change, ...]

    @property
    def killed(self) -> int:
        """Number of mutants that a test has killed."""
        return sum(self.statuses[status] for status in KILLED)

    @property
    def share(self) -> float:
        """The part of the mutants that were run which was killed."""
        return self.killed / max(1, self.statuses.total())


def settings_of(module: Module) -> str:
    """The settings of mutmut for a module, as setup.cfg."""
    lists = {
        "source_paths": [PACKAGE],
        "only_mutate": [f"{PACKAGE}/{file}" for file in module.files],
        "also_copy": [name for name in LINKED if name not in {PACKAGE, "tests"}],
        "pytest_add_cli_args": [*PYTEST],
        "pytest_add_cli_args_test_selection": [f"tests/{path}" for path in module.tests],
    }
    lines = ["[mutmut]"]
    for name, values in lists.items():
        lines += [f"{name} =", *(f"    {value}" for value in values)]
    lines += [f"timeout_constant = {LEAST_SECONDS}", f"timeout_multiplier = {TIMES}"]
    # Each mutant begins in a process in which no test has run yet.
    lines += ["process_isolation = forkserver"]
    return "\n".join(lines) + "\n"


def prepared(name: str, module: Module) -> Path:
    """A new folder for a module: links to the repository, and the settings of mutmut."""
    folder = FOLDERS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for linked in (*LINKED, "pyproject.toml"):
        (folder / linked).symlink_to(ROOT / linked)
    (folder / "setup.cfg").write_text(settings_of(module), encoding="utf-8")
    return folder


def names_in(module: Module) -> list[str]:
    """The names of all mutants of a module, in the folder that `prepared` has made."""
    names: list[str] = []
    for pattern in module.files:
        for path in sorted(Path(PACKAGE).glob(pattern)):
            mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
            names += [get_mutant_name(path, name) for name in mutated.mutant_names]
    return names


def tried(name: str, module: Module, *, jobs: int, is_whole: bool, is_again: bool) -> Run:
    """Run the mutants of a module, or a sample of them.

    Args:
        name: Of the module.
        module: Its files and tests.
        jobs: Mutants at once.
        is_whole: True for all mutants.
        is_again: True to leave alone those that were killed in the last run.

    Raises:
        CalledProcessError: mutmut could not; it has said why.
    """
    with chdir(FOLDERS / name if is_again else prepared(name, module)):
        reset_config()
        names = names_in(module)
        size = len(names) if is_whole or module.sample is None else module.sample
        # The choice is to be the same again, not to be hard to guess.
        drawn = frozenset(Random(SEED).sample(names, min(size, len(names))))  # noqa: S311
        killed = {one for one, status in statuses_in(drawn).items() if status in KILLED}
        command = [str(Path(sys.executable).with_name("mutmut")), "run"]
        command += ["--max-children", str(jobs), *sorted(drawn - killed)]
        if killed < drawn:
            subprocess.run(command, check=True)
        return found(len(names), drawn)


def statuses_in(drawn: frozenset[str]) -> dict[str, str]:
    """Mutmut's words for what became of mutants in the present folder; none before a run."""
    statuses: dict[str, str] = {}
    for path in walk_mutatable_files():
        noted = SourceFileMutationData(path=path)
        noted.load()
        for name in drawn & noted.exit_code_by_key.keys():
            statuses[name] = status_by_exit_code[noted.exit_code_by_key[name]]
    return statuses


def found(made: int, drawn: frozenset[str]) -> Run:
    """Notes of mutmut in the present folder.

    Args:
        made: Number of all mutants.
        drawn: Names of those that were run.
    """
    statuses = statuses_in(drawn)
    changes = (
        change_of(Path(find_mutant(name).path).as_posix(), get_diff_for_mutant(name))
        for name, status in statuses.items()
        if status not in KILLED
    )
    return Run(made, Counter(statuses.values()), tuple(sorted(changes)))


def change_of(file: str, diff: str) -> Change:
    """The change of a unified diff."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    return Change(
        file,
        *(
            " ".join(line[1:].strip() for line in lines if line.startswith(sign))
            for sign in ("-", "+")
        ),
    )


def reasons_in(text: str) -> dict[Change, str]:
    """Why each survivor may live, from the text of survivors.toml."""
    return {
        Change(f"{PACKAGE}/{one['file']}", one["line"], mutant): one["reason"]
        for one in tomllib.loads(text).get("survivor", [])
        for mutant in one["mutants"]
    }


def section(name: str, run: Run, reasons: Mapping[Change, str], today: date) -> str:
    """The results of a module, as Markdown."""
    tried_ones = run.statuses.total()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(run.statuses.items()))
    part = "all" if tried_ones == run.made else f"a random sample, seed {SEED}"
    text = (
        f"{today.isoformat()}: {run.killed} of {tried_ones} mutants killed, {run.share:.1%} "
        f"({counts}). {tried_ones} of {run.made} mutants were run: {part}."
    )
    lines = [f"## {name}", "", text]
    if run.survivors:
        lines += ["", "| survivor | reason |", "| --- | --- |"]
        lines += [
            f"| {_code(change.file)}: {_code(change.line)} → {_code(change.mutant)} "
            f"| {reasons.get(change, 'none yet')} |"
            for change in run.survivors
        ]
    return "\n".join(lines)


def _code(text: str) -> str:
    """Text as code in a cell of a table."""
    return f"`` {text.replace('|', chr(92) + '|')} ``" if text else "nothing"


def faults(name: str, run: Run, reasons: Mapping[Change, str]) -> list[str]:
    """The work to do before a module is in order; empty if it is."""
    texts = [
        f"{name}: no reason for {change.file}: {change.line} → {change.mutant}"
        for change in run.survivors
        if change not in reasons
    ]
    if run.share < LEAST_KILLED:
        texts.append(f"{name}: {run.share:.1%} killed, at least {LEAST_KILLED:.0%} are asked for")
    return texts


def main(arguments: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("modules", nargs="*", metavar="module", help=", ".join(MODULES))
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample")
    parser.add_argument("--again", action="store_true", help="only what has survived so far")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (2)")
    options = parser.parse_args(arguments)
    unknown = set(options.modules) - MODULES.keys()
    if unknown:
        parser.error(f"no module {', '.join(sorted(unknown))}")
    left: list[str] = []
    for name in options.modules or MODULES:
        run = tried(
            name, MODULES[name], jobs=options.jobs, is_whole=options.all, is_again=options.again
        )
        # Only now, because people write them while it runs.
        reasons = reasons_in(REASONS.read_text(encoding="utf-8"))
        write_section(RESULTS, name, section(name, run, reasons, datetime.now(UTC).date()))
        left += faults(name, run, reasons)
        print(f"mutation: {name}: {run.killed} of {run.statuses.total()} killed", flush=True)
    print("\n".join(left), end="\n" if left else "")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
