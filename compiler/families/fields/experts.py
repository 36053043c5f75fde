"""The numbers of experts, which have several names."""

from typing import Any

from ossc.compiler.checkpoint.strict_json import JsonObject


def read_expert_counts(config: JsonObject) -> dict[str, Any]:
    """Read how many experts there are, and how many of them a token gets.

    Returns:
        ``num_local_experts`` and ``num_experts_per_tok``.

    Raises:
        ConfigError: They are missing, contradict each other, or are impossible.
    """
    experts = _read_experts(config)
    chosen = config.integer("num_experts_per_tok")
    if chosen > experts:
        config.fail(f"chooses {chosen} experts for a token, but has only {experts}")
    if (other := config.integer("experts_per_token", chosen)) != chosen:
        config.fail(
            f"contradicts itself: 'experts_per_token' {other} differs from 'num_experts_per_tok' "
            f"{chosen}"
        )
    return {"num_local_experts": experts, "num_experts_per_tok": chosen}


def _read_experts(config: JsonObject) -> int:
    if "num_experts" not in config:
        return config.integer("num_local_experts")
    experts = config.integer("num_experts")
    if (other := config.integer("num_local_experts", experts)) != experts:
        config.fail(
            f"contradicts itself: 'num_local_experts' {other} differs from 'num_experts' {experts}"
        )
    return experts
