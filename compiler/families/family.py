"""What a model family has to say about itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.model_config import ModelConfig
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap

C = TypeVar("C", bound=ModelConfig)


@dataclass(frozen=True, kw_only=True)
class Family(Generic[C]):
    """How checkpoints of one ``model_type`` are understood, and written as a graph."""

    model_type: str
    """As in config.json."""
    summary: str
    fields: ConfigFields
    """The fields of config.json that are known, and what each does in the reference."""
    read_config: Callable[[JsonObject, tuple[int, ...]], C]
    """``read_config(config.json, eos_token_ids)``, with the reference's values for absent fields.
    ConfigError where it does not describe a model of the family."""
    weights: Callable[[C, TensorIndex], WeightMap]
    """Takes every tensor that the model computes with; CheckpointError where one is not as it
    should be, ConfigError where config.json contradicts the tensors."""
    build: Callable[[GraphBuilder, C], None]
    """Writes the whole graph of these weights, in nodes of the dialect."""
    aliases: tuple[str, ...] = field(default=())
    """Other values of ``model_type`` that mean the same."""
