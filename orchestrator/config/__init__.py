"""From files, the environment and flags to settings."""
