"""The screens: which panels there are, and which keys do what."""
