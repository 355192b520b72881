"""Whether a judge pays on a user's own model and questions, before it is deployed: `deepprune-judge check`."""
