"""A checkpoint as its family understands it: what the compiler starts from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx_ir as ir

from ossc.compiler.checkpoint.kinds import why_not_readable
from ossc.compiler.checkpoint.model_folder import find_model_folder
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.checkpoint.strict_json import JsonObject, read_json_object
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families import family_names, find_family
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.stop_tokens import MAX_CONFIG_BYTES, read_stop_token_ids
from ossc.compiler.families.model_config import ModelConfig
from ossc.compiler.quantization import is_float
from ossc.compiler.storage import storage_formats
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap
from ossc.targets.errors import CheckpointError, ConfigError


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """An opened checkpoint, its family and its configuration; see :meth:`open`."""

    checkpoint: Checkpoint
    json: JsonObject
    """config.json as it stands."""
    family: Family[Any]
    config: ModelConfig

    @classmethod
    def open(cls, path: Path | str) -> "SourceModel":
        """Read the configuration and the headers of all files; no weight is read.

        Args:
            path: As :meth:`Checkpoint.open` takes it.

        Raises:
            ConfigError: The configuration is not valid, or of no known family.
            CheckpointError: A file is missing or damaged, or it is a checkpoint of a kind that is
                not read.
        """
        folder = find_model_folder(path)
        try:
            if (reason := why_not_readable(folder)) is not None:
                raise CheckpointError(reason)
            json = read_config_json(folder)
            family = _family_of(json)
            config = _read_config(family, json, folder)
        except OSError as error:
            raise CheckpointError(
                f"{error.filename or folder} cannot be read ({error.strerror})."
            ) from error
        checkpoint = Checkpoint.open(folder)
        return cls(checkpoint=checkpoint, json=json, family=family, config=config)

    @property
    def path(self) -> Path:
        """The checkpoint's folder."""
        return self.checkpoint.path

    @cached_property
    def weights(self) -> WeightMap:
        """Every weight, in its place.

        Raises:
            ConfigError: config.json contradicts the tensors.
            CheckpointError: A tensor is missing, unknown, or of another dtype or shape.
        """
        tensors = TensorIndex(self.checkpoint)
        try:
            weights = self.family.weights(self.config, tensors)
            tensors.refuse_others(f"this {self.config.model_type} model as config.json tells it")
        except CheckpointError as error:
            self._require_known_method(error)
            raise
        method, stored = self.quant_method, self.quantized_forms(weights)
        if method is not None and stored and method not in _methods_of(stored):
            raise ConfigError(
                f"{self.json.source} has the quant_method {method!r}, but weights are stored as "
                f"{' and '.join(sorted(stored))}; correct one of the two."
            )
        return weights

    @property
    def quant_method(self) -> str | None:
        """What ``quantization_config`` claims; the tensors decide."""
        return _read_quant_method(self.json)

    @staticmethod
    def quantized_forms(weights: WeightMap) -> set[str]:
        """Return the formats of weights that are not plain floats."""
        formats = [each.format for each in weights.values()]
        return {each.name for each in formats if not is_float(each)}

    def export(self) -> ir.Model:
        """Write the model as a graph in nodes of the dialect; no weight is read.

        Raises:
            ConfigError: config.json contradicts the tensors.
            CheckpointError: A tensor is missing, unknown, or of another dtype or shape.
        """
        builder = GraphBuilder(self.config.model_type, self.weights)
        self.family.build(builder, self.config)
        return builder.model()

    def _require_known_method(self, error: CheckpointError) -> None:
        """Fail on a method of quantization that explains why tensors are not as they should be."""
        known = {each.quant_method for each in storage_formats() if each.quant_method}
        if self.quant_method not in (None, *known):
            raise ConfigError(
                f"{self.json.source} has the quant_method {self.quant_method!r}, but weights are "
                f"read as floats or in {', '.join(sorted(known))}."
            ) from error


def _read_quant_method(json: JsonObject) -> str | None:
    if "quantization_config" not in json:
        return None
    return json.section("quantization_config").text("quant_method")


def _methods_of(formats: set[str]) -> set[str | None]:
    return {each.quant_method for each in storage_formats() if each.name in formats}


def read_config_json(folder: Path) -> JsonObject:
    """Read a checkpoint's config.json as it stands.

    Raises:
        ConfigError: It is missing, or not strict JSON.
    """
    return read_json_object(folder / "config.json", ConfigError, max_bytes=MAX_CONFIG_BYTES)


def read_model_config(folder: Path) -> ModelConfig:
    """Read the configuration of a checkpoint.

    Args:
        folder: That holds config.json.

    Raises:
        ConfigError: A file is missing or not valid, a field is missing, of the wrong type or out of
            range, the fields contradict each other or ask for what is not computed, or the model
            type is unknown.
        CheckpointError: tokenizer.json cannot be read.
    """
    json = read_config_json(folder)
    return _read_config(_family_of(json), json, folder)


def _family_of(json: JsonObject) -> Family[Any]:
    model_type = json.text("model_type")
    known = family_names()
    if model_type not in known:
        json.fail(f"has the model_type {model_type!r}, but ossc knows only {', '.join(known)}")
    return find_family(model_type)


def _read_config(family: Family[Any], json: JsonObject, folder: Path) -> ModelConfig:
    complete = family.fields.complete(json)
    _read_quant_method(json)  # has to be one, though the tensors decide
    config: ModelConfig = family.read_config(complete, read_stop_token_ids(folder, json))
    return config
