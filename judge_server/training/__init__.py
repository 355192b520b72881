"""A judge's training, from settings to published weights."""
