"""What outcomes say: comparisons, sweeps, oracles, diagnostics."""
