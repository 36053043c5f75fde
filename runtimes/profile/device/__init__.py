"""Talking to a bundle's ``ossc-run --measure``; ``docs/measuring.md`` is its protocol."""
