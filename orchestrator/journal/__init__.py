"""The journal of a run: written, read, replayed, and recovered after a kill."""
