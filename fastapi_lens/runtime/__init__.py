"""Lens: the parts of one application, from its recorder to its database."""
