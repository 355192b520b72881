"""What a benchmark keeps: outcomes, trace statistics, intervals."""
