"""Servers that others wrote, installed and really run: `make test-foreign`."""
