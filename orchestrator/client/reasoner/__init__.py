"""The client of the reasoner's server: one stream per trace."""
