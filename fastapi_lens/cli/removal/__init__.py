"""The removal of endpoints: production's evidence of their use, and what a branch removes."""
