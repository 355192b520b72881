"""The terminal display: watches a run, live or recorded, and passes the user's acts on to it."""
