"""Why a generation ended."""

from typing import Literal

FinishReason = Literal["stop", "length", "context", "interrupted"]
"""A stop token came, as many tokens as were asked for, the context is full, or SIGINT came."""
