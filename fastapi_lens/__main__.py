"""``python -m fastapi_lens``: the command line, or a hint to install it."""

import importlib
import sys

MISSING = "The command line needs Typer: pip install 'fastapi-lens-admin[cli]'"


def main() -> None:
    """Run the command that the arguments name, and end the process."""
    try:
        importlib.import_module("typer")
    except ImportError:
        sys.stderr.write(f"{MISSING}\n")
        sys.exit(2)
    from fastapi_lens.cli.commands import create_cli  # noqa: PLC0415  Needs Typer.
    from fastapi_lens.cli.streams import any_streams  # noqa: PLC0415  The same.

    with any_streams():
        create_cli()(prog_name="python -m fastapi_lens")


if __name__ == "__main__":
    main()
