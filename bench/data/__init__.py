"""Questions, prompts and recorded traces."""
