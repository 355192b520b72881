"""The subcommands of `deepprune-judge`, one module each: `add_arguments(parser)` and `run(arguments)`."""
