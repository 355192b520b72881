"""A run as the screens see it."""
