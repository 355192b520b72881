"""The screen elsewhere: as SVG, in the documents, in a browser."""
