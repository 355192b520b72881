"""What is measured: policies with their settings, and grids of them."""
