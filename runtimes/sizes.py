"""Sizes for people."""


def format_bytes(size_bytes: int) -> str:
    """Write a size in decimal units, as disks have them: ``13.76 GB``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
