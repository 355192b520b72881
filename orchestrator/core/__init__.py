"""The sans-io core: facts in, decided facts and orders out. No await, clock, logging or network."""
