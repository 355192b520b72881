"""The screens: their panels and their keys."""
