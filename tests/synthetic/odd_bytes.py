"""Files of safetensors whose data begins at an odd byte, as writers that pad nothing leave them."""

from pathlib import Path


def move_to_odd_bytes(checkpoint: Path) -> Path:
    """Rewrite all files of a checkpoint, in place; returns it."""
    for file in sorted(checkpoint.glob("*.safetensors")):
        content = file.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        header = content[8:end].rstrip(b" ")
        if len(header) % 2 == 0:
            header += b" "
        file.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    return checkpoint
