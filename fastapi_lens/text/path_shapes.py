"""Shapes of path templates: templates that differ in the names of parameters alone. Pure."""

import re

_PARAMETER = re.compile(r"\{[^{}]*\}")


def shape_of(template: str) -> str:
    """The template without the names of its parameters: ``/orders/{}`` of ``/orders/{id}``."""
    return _PARAMETER.sub("{}", template)
