"""Running a bundle: its formats, the C runtime and the Python binding; needs no compile package."""
