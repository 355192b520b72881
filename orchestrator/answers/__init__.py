"""Which answers are equal, decided outside the event loop."""
