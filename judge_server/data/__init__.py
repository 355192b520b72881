"""From finished traces to labelled pairs of unfinished ones."""
