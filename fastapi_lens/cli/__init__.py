"""The command line: `python -m fastapi_lens`. Thin: arguments, the rooms below, text."""
