"""Models as GGUF, whatever their family."""

from pathlib import Path

from gguf import GGMLQuantizationType

from benchmarks.beside import gguf_gpt_oss, gguf_llama
from benchmarks.beside.gguf_file import DenseType, write_file
from ossc.compiler.families.gpt_oss import GptOssConfig
from ossc.compiler.families.llama import LlamaConfig
from ossc.compiler.families.source_model import SourceModel
from ossc.targets.errors import CheckpointError


def write_gguf(model: Path, out: Path, dense: DenseType) -> Path:
    """Write a checkpoint's values as GGUF.

    Args:
        model: The checkpoint's folder: a Llama without biases, or a gpt-oss with MXFP4 experts.
        out: The file to write.
        dense: Type of attention, dense feed-forward parts, embedding and head. Router, norms,
            biases and sinks are float32.

    Returns:
        ``out``.

    Raises:
        CheckpointError: The checkpoint is damaged, or another one than these.
        ConfigError: Its configuration is not valid.
    """
    source = SourceModel.open(model)
    config, type_ = source.config, GGMLQuantizationType[dense]
    if isinstance(config, LlamaConfig) and not (config.attention_bias or config.mlp_bias):
        return write_file(
            out,
            gguf_llama.ARCHITECTURE,
            lambda writer: gguf_llama.write_config(writer, config, type_),
            gguf_llama.list_tensors(source.checkpoint, config, type_),
        )
    if isinstance(config, GptOssConfig) and source.quantized_forms(source.weights) == {"mxfp4"}:
        return write_file(
            out,
            gguf_gpt_oss.ARCHITECTURE,
            lambda writer: gguf_gpt_oss.write_config(writer, config),
            gguf_gpt_oss.list_tensors(source.checkpoint, config.num_hidden_layers, type_),
        )
    raise CheckpointError(
        f"{model} has no MXFP4 experts and is no Llama without biases; give a checkpoint that is "
        "one of the two."
    )
