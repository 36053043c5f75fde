"""How a model asks to be sampled: ``generation_config.json``, in the bundle as in the checkpoint.

Fields are those of transformers' ``GenerationConfig``, and mean what ``generate`` makes of them.
Only what the file says is taken: a ``top_k`` that it does not mention is off.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossc.runtimes.manifest import Manifest
from ossc.runtimes.strict_json import parse_fields, shorten
from ossc.targets.errors import SessionError

if TYPE_CHECKING:
    from ossc.runtimes.sampler import SamplerArguments

GENERATION_CONFIG_NAME = "generation_config.json"

_NUMBERS = ("temperature", "top_p", "min_p", "repetition_penalty")

_NEUTRAL: dict[str, float] = {
    **{"num_beams": 1, "num_beam_groups": 1, "num_return_sequences": 1, "guidance_scale": 1},
    **{"typical_p": 1, "encoder_repetition_penalty": 1, "min_length": 0, "min_new_tokens": 0},
    **{"epsilon_cutoff": 0, "eta_cutoff": 0, "diversity_penalty": 0, "penalty_alpha": 0},
    **{"no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0},
    **{"presence_penalty": 0, "frequency_penalty": 0},
}
"""Values of fields that ossc does not sample with, which change nothing."""

_OTHER_MATTERS = frozenset(
    {
        *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
        *("max_length", "max_new_tokens", "max_time", "prefill_chunk_size"),
        *("length_penalty", "early_stopping", "low_memory"),  # of beams
        *("use_cache", "cache_implementation", "cache_config", "max_cache_len"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
        *("return_dict_in_generate", "transformers_version", "chat_format"),
        *("compile_config", "disable_compile", "continuous_batching_config"),
    }
)
"""Fields that say nothing of which token comes next."""


def parse_generation_config(data: bytes) -> dict[str, Any]:
    """Parse the file, and check the types of the fields that the sampler takes.

    Raises:
        ValueError: It is not valid; the message continues a sentence that begins with the file.
    """
    fields = {name: value for name, value in parse_fields(data).items() if value is not None}
    for name in _NUMBERS:
        if type(fields.get(name, 0)) not in (int, float):
            raise ValueError(f"has {shorten(fields[name])} for {name!r}, which is not a number")
    if type(fields.get("top_k", 0)) is not int:
        raise ValueError(f"has {shorten(fields['top_k'])} for 'top_k', which is not an integer")
    if type(fields.get("do_sample", False)) is not bool:
        raise ValueError(f"has {shorten(fields['do_sample'])} for 'do_sample', which is no flag")
    return fields


def read_model_sampling(bundle: Path, manifest: Manifest) -> "SamplerArguments":
    """Return what a bundle's model asks for.

    Args:
        bundle: Its directory.
        manifest: Its manifest, whose hashes were checked.

    Raises:
        SessionError: The bundle does not say, or asks for what ossc does not sample with.
    """
    if GENERATION_CONFIG_NAME not in manifest.files:
        raise SessionError(
            f"The bundle has no {GENERATION_CONFIG_NAME}, because its checkpoint had none; give "
            "--temp and --top-p instead of --sampling model."
        )
    try:
        return model_sampling(
            parse_generation_config((bundle / GENERATION_CONFIG_NAME).read_bytes())
        )
    except ValueError as error:
        raise SessionError(
            f"The bundle's {GENERATION_CONFIG_NAME} {error}; give --temp and --top-p instead of "
            "--sampling model."
        ) from error


def model_sampling(fields: Mapping[str, Any]) -> "SamplerArguments":
    """Return the sampler's arguments for the fields of a generation config.

    Raises:
        ValueError: One asks for what ossc does not sample with.
    """
    for name, value in fields.items():
        if not _is_known(name) and value not in (_NEUTRAL.get(name), False, [], {}):
            raise ValueError(f"asks for {name} {shorten(value)}, which ossc does not sample with")
    arguments: SamplerArguments = {"repeat_penalty": fields.get("repetition_penalty", 1.0)}
    if fields.get("do_sample", False):
        arguments["temperature"] = fields.get("temperature", 1.0)
        arguments["top_p"] = fields.get("top_p", 1.0)
        arguments["top_k"] = fields.get("top_k", 0)
        arguments["min_p"] = fields.get("min_p", 0.0)
    return arguments


def _is_known(name: str) -> bool:
    taken = (*_NUMBERS, "top_k", "do_sample")
    return name in taken or name in _OTHER_MATTERS or name.startswith("_")
