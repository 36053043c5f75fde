"""What is no checkpoint of ours is recognised, and answered with the command that helps."""

import json
import os
import shutil

import pytest

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.source_model import SourceModel
from ossc.targets.errors import CheckpointError, ConfigError, OsscError
from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot
from synthetic.odd_bytes import move_to_odd_bytes

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 13761300984\n"
OPENAI_CONFIG = {
    "num_hidden_layers": 24,
    "num_experts": 32,
    "experts_per_token": 4,
    "initial_context_length": 4096,
}
DOWNLOAD = 'hf download openai/gpt-oss-20b --exclude "*/*"'


@pytest.fixture
def model(tmp_path):
    return make_checkpoint(tmp_path / "model", tokenizer=True)


@pytest.fixture
def bare(model):
    """A folder with the text files and config.json, and no weights."""
    (model / "model.safetensors").unlink()
    return model


def refusal(path, error: type[OsscError] = CheckpointError) -> str:
    with pytest.raises(error) as refused:
        SourceModel.open(path)
    message = str(refused.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


def edit_config(folder, **fields: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


@pytest.mark.parametrize("with_weights", [True, False])
@pytest.mark.parametrize("base", ["openai/gpt-oss-20b", None])
def test_an_adapter_is_never_passed_over(model, with_weights, base):
    config = {"peft_type": "LORA"} | ({"base_model_name_or_path": base} if base else {})
    (model / "adapter_config.json").write_text(json.dumps(config))
    if not with_weights:
        for name in ("model.safetensors", "config.json"):
            (model / name).unlink()
    message = refusal(model)
    assert f"holds an adapter (LoRA) of {base or 'another model'}, which" in message
    assert "merge_and_unload().save_pretrained(" in message
    assert "model-merged" in message


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapters.safetensors"])
def test_an_adapters_weights_are_not_passed_over_either(model, name):
    shutil.copy(model / "model.safetensors", model / name)
    assert "holds an adapter" in refusal(model)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"]
)
def test_a_git_lfs_pointer_is_not_taken_for_the_file(model, name):
    (model / name).write_text(POINTER)
    message = refusal(model)
    assert f"{model / name} is a Git LFS pointer" in message
    assert f"git -C {model} lfs pull" in message


def test_a_git_lfs_pointer_for_a_shard_is_recognised(tmp_path):
    model = make_checkpoint(tmp_path / "model", max_shard_bytes=150_000)
    shard = sorted(model.glob("*.safetensors"))[-1]
    shard.write_text(POINTER)
    assert f"{shard} is a Git LFS pointer" in refusal(model)


@pytest.mark.parametrize("names", [["pytorch_model.bin"], ["pytorch_model-00001-of-00002.bin"]])
def test_pickled_weights_are_answered_with_their_conversion(bare, names):
    for name in names:
        (bare / name).write_bytes(b"PK\3\4")
    message = refusal(bare)
    assert "pickled weights" in message
    assert f'M.from_pretrained("{bare}", dtype="auto").save_pretrained("model-safetens' in message


def test_an_unknown_model_type_is_told_before_a_conversion_is_asked_for(bare):
    (bare / "pytorch_model.bin").write_bytes(b"PK\3\4")
    edit_config(bare, model_type="gpt2")
    assert "ossc knows only" in refusal(bare, ConfigError)


@pytest.mark.parametrize("with_config", [True, False])
def test_a_folder_of_gguf_files_is_recognised(bare, with_config):
    (bare / "gpt-oss-20b-Q4_K_M.gguf").write_bytes(b"GGUF\3\0\0\0")
    if not with_config:
        (bare / "config.json").unlink()
    message = refusal(bare)
    assert "gpt-oss-20b-Q4_K_M.gguf is a GGUF file" in message
    assert DOWNLOAD in message


@pytest.mark.parametrize("name", ["model.gguf", "sha256-0123"])
def test_a_gguf_file_is_recognised_by_its_name_or_its_first_bytes(tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF\3\0\0\0")
    assert "is a GGUF file, a model for llama.cpp" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.safetensors", "is a file, not a folder; give the folder that holds config.json"),
        ("model.safetensors.index.json", "is a file, not a folder"),
        ("model.onnx", "is an ONNX file, but ossc compiles the checkpoint"),
    ],
)
def test_a_file_is_answered_with_the_folder_that_is_meant(tmp_path, name, sentence):
    (tmp_path / name).write_bytes(b"12345678")
    assert sentence in refusal(tmp_path / name)


@pytest.mark.parametrize("quantization_config", [True, False])
def test_a_quantized_mlx_model_is_recognised_before_its_config_is_found_wrong(
    model, quantization_config
):
    quantization = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
    also = {"quantization_config": quantization} if quantization_config else {}
    edit_config(model, quantization=quantization, **also)
    message = refusal(model)
    assert "was converted for MLX" in message
    assert DOWNLOAD in message


def test_an_mlx_model_that_is_not_quantized_is_recognised_by_its_names(tmp_path):
    model = make_checkpoint(tmp_path / "model", experts="bf16")
    file = model / "model.safetensors"
    content = file.read_bytes().replace(b'experts.gate_up_proj"', b'experts.gate_proj.weight"', 1)
    length = int.from_bytes(content[:8], "little") + len("gate_proj.weight") - len("gate_up_proj")
    file.write_bytes(length.to_bytes(8, "little") + content[8:])
    assert "was converted for MLX" in refusal(model)


def test_tensors_that_mlx_saved_under_their_own_names_are_read(model):
    """Its header is not padded, and says that its format is mlx."""
    file = model / "model.safetensors"
    before = {name: Checkpoint.open(model).tensor(name).tobytes() for name in ["lm_head.weight"]}
    file.write_bytes(file.read_bytes().replace(b'"format": "pt"', b'"format":"mlx"', 1))
    move_to_odd_bytes(model)
    assert Checkpoint.open(model).tensor("lm_head.weight").tobytes() == before["lm_head.weight"]


@pytest.fixture
def original(tmp_path):
    """A folder ``original`` as OpenAI publishes it, beside nothing."""
    folder = tmp_path / "gpt-oss-20b" / "original"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(OPENAI_CONFIG))
    (folder / "dtypes.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"12345678")
    return folder


def test_openais_own_layout_is_recognised(original):
    message = refusal(original)
    assert "is OpenAI's own layout of gpt-oss, but ossc reads Hugging Face's" in message
    assert DOWNLOAD in message


@pytest.mark.parametrize("with_config", [True, False])
def test_a_folder_that_has_weights_only_in_original_is_recognised(original, bare, with_config):
    folder = original.parent
    if with_config:
        shutil.copy(bare / "config.json", folder)
    message = refusal(folder)
    assert f"has its weights only in {original}" in message
    assert DOWNLOAD in message


def test_beside_the_layout_that_is_read_original_is_answered_with_that(original, tmp_path):
    make_checkpoint(original.parent)
    assert f"which {original.parent} has; give that." in refusal(original)
    Checkpoint.open(original.parent)


def test_a_state_dict_that_was_saved_with_its_adapter_is_recognised_by_its_names(model):
    """Without adapter_config.json there is none to remove."""
    file = model / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    renamed = {
        f"base_model.model.{name}": entry for name, entry in header.items() if "_" not in name[:2]
    }
    text = json.dumps(renamed).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert refusal(model).endswith("with the tokenizer's files beside it.")


def test_openais_tensors_beside_another_config_are_recognised(model):
    file = model / "model.safetensors"
    content = file.read_bytes().replace(b'"model.norm.weight"', b'"block.0.nor.scale"', 1)
    file.write_bytes(content)
    assert "under the names of OpenAI's layout" in refusal(model)


@pytest.mark.parametrize("place", ["", "metal"])
def test_the_layout_for_apples_gpus_is_recognised(tmp_path, place):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "model.bin").write_bytes(b"GPT-OSS v1.0\0\0\0\0")
    message = refusal(tmp_path)
    assert "holds weights in the layout for Apple's GPUs" in message
    assert DOWNLOAD in message


def test_a_consolidated_file_is_recognised(bare):
    (bare / "consolidated.safetensors").write_bytes(b"12345678")
    assert "consolidated.safetensors holds the weights in their maker's layout" in refusal(bare)


@pytest.mark.parametrize("name", ["__0_0.distcp", "shard-00001-model-00001-of-00001.safetensors"])
def test_a_distributed_checkpoint_is_recognised(bare, name):
    (bare / name).touch()
    assert "is a distributed checkpoint of PyTorch" in refusal(bare)


def test_shards_without_an_index_are_answered_with_what_is_missing(tmp_path):
    model = make_checkpoint(tmp_path / "model", max_shard_bytes=150_000)
    (model / "model.safetensors.index.json").unlink()
    message = refusal(model)
    assert "model-00000-of-" in message
    assert "but no model.safetensors.index.json that says which files are the model's" in message
    snapshot = write_snapshot(model, tmp_path / "hub", "org/shards")
    assert "get the rest with hf download org/shards --revision 0123" in refusal(snapshot)


@pytest.mark.parametrize("pattern", ["config.json", "model-00001-of-*.safetensors"])
def test_a_download_that_is_not_whole_is_answered_with_the_command_for_the_rest(tmp_path, pattern):
    model = make_checkpoint(tmp_path / "model", max_shard_bytes=200_000)
    (missing,) = model.glob(pattern)
    missing.unlink()
    assert missing.name in refusal(model)
    assert "download all of the checkpoint" in refusal(model)
    snapshot = write_snapshot(model, tmp_path / "hub", "org/part")
    assert "get the rest with hf download org/part --revision 0123" in refusal(snapshot)


@pytest.mark.parametrize("name", ["weights.safetensors", "model-00001-of-00001.safetensors"])
def test_one_file_of_another_name_is_answered_with_its_renaming(model, name):
    (model / "model.safetensors").rename(model / name)
    assert f"rename it with mv {model / name} {model / 'model.safetensors'}." in refusal(model)


def test_one_shard_of_several_is_not_renamed(model):
    (model / "model.safetensors").rename(model / "model-00002-of-00003.safetensors")
    assert "download all of the checkpoint" in refusal(model)


def test_a_bundle_is_run_and_not_compiled(tiny_bundle):
    assert f"compiled already; run it with ossc run {tiny_bundle}." in refusal(tiny_bundle)


def test_a_folder_of_checkpoints_lists_them(tmp_path):
    found = [make_checkpoint(tmp_path / "out" / f"checkpoint-{step}") for step in (500, 1000)]
    message = refusal(tmp_path / "out")
    assert "but folders in it have; give one of them: " in message
    assert all(str(folder) in message for folder in found)


def test_an_unreadable_folder_is_refused_in_a_sentence(model, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(model))

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    assert "cannot be read (Permission denied)" in refusal(model)
