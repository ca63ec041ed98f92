"""What the lens costs, measured beside other packages. Programs, no part of the package."""
