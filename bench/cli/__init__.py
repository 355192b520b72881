"""The subcommands of `deepprune-bench`, one module each: `add_arguments(parser)` and `run(arguments)`."""
