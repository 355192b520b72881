"""Everything that talks to servers: reasoner streams, judge calls, local vLLM processes."""
