"""Lines of terminal cells: text, colours, states of traces."""
