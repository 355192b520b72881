"""Text for a terminal: sanitized, rendered, and as progress."""
