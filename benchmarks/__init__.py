"""Costs of the lens, measured beside other packages. Programs, no part of the package."""
