"""An OpenAI-compatible address in front of a client: voted answers for any program that speaks OpenAI's API."""
