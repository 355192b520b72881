"""The state of one run that the panels draw from."""
