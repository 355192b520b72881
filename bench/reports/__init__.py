"""A comparison as text, tables, pictures and one HTML page."""
