"""Lens: the parts of one application, from its recorder to its database."""

from fastapi_lens.runtime.lens import Lens

__all__ = ["Lens"]
