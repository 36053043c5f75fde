"""What the name of a bundle's file may be."""

import re

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""No folder, and nothing that hides."""
