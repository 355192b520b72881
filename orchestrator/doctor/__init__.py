"""`deepprune-doctor`: what servers can do, found by trying it."""
