"""The types in which a session can hold keys and values."""

from typing import Literal

KvType = Literal["f32", "f16", "int8"]
"""float32, float16, or int8 with a float32 scale for every 32 columns of a key or a value."""

KV_TYPES: tuple[KvType, ...] = ("f32", "f16", "int8")

PLAN_NAMES: dict[KvType, str] = {
    "f32": "plan.bin",
    "f16": "plan.f16.bin",
    "int8": "plan.int8.bin",
}
"""The file with the plan of each type."""
