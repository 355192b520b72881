"""The screens outside a terminal: as SVG files, as pictures in the documentation, in a browser."""
