"""ASGI application of the shop for a server: ``uvicorn example_project.app:app``."""

from example_project.factory import create_app

app = create_app()

__all__ = ["app", "create_app"]
