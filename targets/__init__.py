"""The machines that ossc compiles for: one file for each family of machines."""
