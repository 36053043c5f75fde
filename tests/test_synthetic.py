"""The synthetic checkpoints are what they claim: other readers take them, and they compute."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GptOssForCausalLM, Mxfp4Config

import synthetic.weights
from synthetic import GPT_OSS_20B, GPT_OSS_120B, SyntheticShape, make_checkpoint
from synthetic.layout import layout
from synthetic.weights import mxfp4, normal_floats

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])

SHAPES = [
    pytest.param(SyntheticShape(), id="default"),
    pytest.param(SyntheticShape(num_hidden_layers=3, sliding_window=3), id="odd-layers"),
    pytest.param(SyntheticShape(num_local_experts=7, num_experts_per_tok=3), id="seven-experts"),
    pytest.param(
        SyntheticShape(num_attention_heads=3, num_key_value_heads=1, head_dim=18), id="odd-heads"
    ),
    pytest.param(
        SyntheticShape(hidden_size=96, intermediate_size=32, vocab_size=331), id="odd-vocabulary"
    ),
]


def files_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    first = make_checkpoint(tmp_path / "first", tokenizer=True, max_shard_bytes=100_000)
    second = make_checkpoint(tmp_path / "second", tokenizer=True, max_shard_bytes=100_000)
    assert files_of(first) == files_of(second)


def test_another_seed_gives_other_weights_in_the_same_layout(tmp_path):
    first = files_of(make_checkpoint(tmp_path / "first", seed=1))
    second = files_of(make_checkpoint(tmp_path / "second", seed=2))
    assert first["config.json"] == second["config.json"]
    assert first["model.safetensors"] != second["model.safetensors"]


def test_the_safetensors_library_reads_every_tensor(tmp_path):
    path = make_checkpoint(tmp_path)
    with safe_open(path / "model.safetensors", "pt") as file:
        shapes = {name: tuple(file.get_tensor(name).shape) for name in file.keys()}  # noqa: SIM118
    assert shapes == {tensor.name: tensor.shape for tensor in layout(SyntheticShape(), "mxfp4")}


def test_the_shards_hold_the_tensors_of_the_single_file(tmp_path):
    single = make_checkpoint(tmp_path / "single") / "model.safetensors"
    shards = make_checkpoint(tmp_path / "shards", max_shard_bytes=50_000)
    index = json.loads((shards / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 3
    with safe_open(single, "pt") as whole:
        assert set(whole.keys()) == set(index["weight_map"])
        for name, file in index["weight_map"].items():
            with safe_open(shards / file, "pt") as shard:
                assert torch.equal(shard.get_tensor(name), whole.get_tensor(name))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
@pytest.mark.parametrize("config_form", [4, 5])
@pytest.mark.filterwarnings("ignore")
def test_transformers_loads_and_runs_them(tmp_path, shape, experts, config_form):
    path = make_checkpoint(tmp_path, shape, experts=experts, config_form=config_form)
    quantization = Mxfp4Config(dequantize=True) if experts == "mxfp4" else None
    model, info = GptOssForCausalLM.from_pretrained(
        path, dtype=torch.float32, quantization_config=quantization, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    with torch.no_grad():
        out = model(torch.arange(12)[None], output_hidden_states=True)
    assert 0.3 < out.logits.std() < 3
    assert all(0.1 < state.std() < 10 for state in out.hidden_states)


@pytest.mark.parametrize("n_blocks", [4096, 70_000], ids=["own", "from-the-pool"])
def test_mxfp4_values_have_the_standard_deviation_asked_for(monkeypatch, n_blocks):
    monkeypatch.setattr(synthetic.weights, "POOL_BLOCKS", 65_521)
    synthetic.weights._mxfp4_pool.cache_clear()
    codes = np.concatenate(list(mxfp4("w", 0, n_blocks, std=0.125, part="blocks")))
    scales = np.concatenate(list(mxfp4("w", 0, n_blocks, std=0.125, part="scales")))
    synthetic.weights._mxfp4_pool.cache_clear()
    nibbles = np.stack([codes & 15, codes >> 4], axis=-1).reshape(n_blocks, 32)
    values = E2M1[nibbles] * np.exp2(scales.astype(np.float64) - 127)[:, None]
    assert values.std() == pytest.approx(0.125, rel=0.02)
    assert abs(values.mean()) < 0.002


def test_a_large_tensor_has_no_two_equal_rows(monkeypatch):
    monkeypatch.setattr(synthetic.weights, "POOL_VALUES", 65_521)
    synthetic.weights._float_pool.cache_clear()
    values = np.concatenate(list(normal_floats("w", 0, 4096 * 96, "BF16", std=1.0, mean=0.0)))
    synthetic.weights._float_pool.cache_clear()
    rows = values.reshape(4096, 96)
    assert len(np.unique(rows, axis=0)) == 4096


@pytest.mark.parametrize(
    ("shape", "tensors", "size_bytes"),
    [
        pytest.param(GPT_OSS_20B, 459, 13_761_264_768, id="20b"),
        pytest.param(GPT_OSS_120B, 687, 65_248_815_744, id="120b"),
    ],
)
def test_the_big_shapes_have_the_sizes_of_the_published_checkpoints(shape, tensors, size_bytes):
    listed = layout(shape, "mxfp4")
    assert len(listed) == tensors
    assert sum(tensor.length_bytes for tensor in listed) == size_bytes


def test_a_sparse_checkpoint_has_its_length_but_takes_no_room(tmp_path):
    file = make_checkpoint(tmp_path, sparse=True) / "model.safetensors"
    full = make_checkpoint(tmp_path / "full") / "model.safetensors"
    assert file.stat().st_size == full.stat().st_size
    assert file.stat().st_blocks * 512 <= 16384


@pytest.mark.parametrize("vocab_size", [265, 512, 3001])
def test_the_tokenizer_gives_back_any_text_and_knows_every_id(tmp_path, vocab_size):
    shape = SyntheticShape(vocab_size=vocab_size)
    path = make_checkpoint(tmp_path, shape, tokenizer=True)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    text = "The fox: naïve façade, 日本語 🦊\n\tx = 1"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.get_vocab_size() == vocab_size
    assert all(tokenizer.id_to_token(i) is not None for i in range(vocab_size))


def test_the_special_tokens_are_one_id_each_and_the_stop_ids_are_theirs(tmp_path):
    path = make_checkpoint(tmp_path, tokenizer=True)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    assert tokenizer.encode("<|start|>a<|end|>").ids[::2] == [508, 509]
    stop_ids = json.loads((path / "generation_config.json").read_text())["eos_token_id"]
    assert [tokenizer.id_to_token(i) for i in stop_ids] == [
        "<|return|>",
        "<|endoftext|>",
        "<|call|>",
    ]


def test_the_chat_template_renders(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(make_checkpoint(tmp_path, tokenizer=True))
    messages = [{"role": "user", "content": "Hello"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.startswith("<|start|>system<|message|>You are a synthetic model.\nCurrent date: 2")
    assert text.endswith("<|start|>user<|message|>Hello<|end|><|start|>assistant")
