"""The subcommands of `deepprune-bench`, one module each."""
