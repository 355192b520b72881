"""Lines of terminal cells: text, colours, glyphs of trace states."""
