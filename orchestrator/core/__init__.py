"""The sans-io core: events in, decided events and commands out. No await, clock, logging or network."""
