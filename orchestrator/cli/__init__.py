"""The command line: flags in, one call, an exit code."""
