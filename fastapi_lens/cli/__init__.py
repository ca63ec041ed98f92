"""The command line, `python -m fastapi_lens`: arguments and output. Other packages do the work."""
