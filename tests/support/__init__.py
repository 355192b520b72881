"""What tests share: stories, recorded runs, servers and commands."""
