"""The demo: the back office of a small web shop with the lens in it. Not part of the package."""
