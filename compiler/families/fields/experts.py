"""The numbers of experts, which have several names."""

from typing import Any

from ossc.compiler.checkpoint.strict_json import JsonObject


def read_expert_counts(config: JsonObject, *, default_experts: int | None = None) -> dict[str, Any]:
    """Read how many experts there are, and how many of them a token gets.

    Args:
        config: config.json.
        default_experts: Where it gives them under no name; None: it has to give them.

    Returns:
        ``num_local_experts`` and ``num_experts_per_tok``.

    Raises:
        ConfigError: They are missing, contradict each other, or are impossible.
    """
    experts = _read_experts(config, default_experts)
    chosen = config.integer("num_experts_per_tok")
    if chosen > experts:
        config.fail(f"chooses {chosen} experts for a token, but has only {experts}")
    if (other := config.integer("experts_per_token", chosen)) != chosen:
        config.fail(
            f"contradicts itself: 'experts_per_token' {other} differs from 'num_experts_per_tok' "
            f"{chosen}"
        )
    return {"num_local_experts": experts, "num_experts_per_tok": chosen}


def _read_experts(config: JsonObject, default: int | None) -> int:
    if "num_experts" not in config:
        absent = "num_local_experts" not in config.fields
        return config.integer("num_local_experts", default if absent else None)
    experts = config.integer("num_experts")
    if (other := config.integer("num_local_experts", experts)) != experts:
        config.fail(
            f"contradicts itself: 'num_local_experts' {other} differs from 'num_experts' {experts}"
        )
    return experts
