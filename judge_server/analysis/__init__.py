"""What recorded traces say before any judge is trained: agreement, difficulty, lengths, and untrained judges."""
