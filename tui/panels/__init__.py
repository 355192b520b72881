"""What the screens are made of: each panel turns a frame (a run and a size) into lines."""
