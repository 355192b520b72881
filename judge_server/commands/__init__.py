"""One module per subcommand of `deepprune-judge`: `add_arguments(parser)` and `run(arguments)`.

The rule: these modules import nothing heavy at their top, so that `--help` answers at once.
"""
