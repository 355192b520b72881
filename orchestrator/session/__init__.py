"""A whole invocation: endpoints, questions one after the other, results."""
