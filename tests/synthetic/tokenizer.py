"""A real byte-level BPE tokenizer for any vocabulary size, and a chat template in harmony's form.

The vocabulary is: 256 bytes, merges learned from a short text, words that no text leads to but that
decode to something readable, and gpt-oss's special tokens at their ids.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from synthetic.shape import SyntheticShape

MAX_MERGES = 512

TEXT = """\
The quick brown fox jumps over the lazy dog. A compiler reads a program in one language and writes
the same program in another. What is the capital of France? The capital of France is Paris.
def main():
    for i in range(10):
        print("Hello, world!", i)
Once upon a time there was a small machine that could read and write. It read all day and wrote all
night, and what it wrote was never quite what it had read. You are a helpful assistant. Say what you
know, and say when you do not know it. 0 1 2 3 4 5 6 7 8 9, one two three four five six seven.
"""

CHAT_TEMPLATE = """\
{{- "<|start|>system<|message|>You are a synthetic model.\\nCurrent date: " }}
{{- strftime_now("%Y-%m-%d") + "<|end|>" }}
{%- for message in messages %}
{{- "<|start|>" + message.role }}
{%- if message.role == "assistant" %}{{ "<|channel|>final" }}{% endif %}
{{- "<|message|>" + message.content + "<|end|>" }}
{%- endfor %}
{%- if add_generation_prompt %}{{ "<|start|>assistant" }}{% endif %}
"""


def write_tokenizer(path: Path, shape: SyntheticShape) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja.

    Args:
        path: The checkpoint's folder.
        shape: Gives the size of the vocabulary: at least 256 bytes and the special tokens.
    """
    build_tokenizer(shape).save(str(path / "tokenizer.json"), pretty=False)
    (path / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|return|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.max_position_embeddings,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def build_tokenizer(shape: SyntheticShape) -> Tokenizer:
    """Return a tokenizer in which each id of the vocabulary has a token."""
    specials = {id_: token for token, id_ in shape.special_ids().items()}
    first_special = min(specials)
    assert first_special >= 256, "the vocabulary has no room for the 256 bytes"
    learned = _learn(min(first_special, 256 + MAX_MERGES))
    vocab = learned["vocab"]
    vocab |= {f"Ġtoken{i}": i for i in range(len(vocab), first_special)}
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = _byte_level(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens(
        [
            AddedToken(specials.get(i, f"<|reserved_{i}|>"), special=True, normalized=False)
            for i in range(first_special, shape.vocab_size)
        ]
    )
    return tokenizer


def _learn(vocab_size: int) -> dict[str, object]:
    """Train BPE on the text; return the model's part of tokenizer.json."""
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return json.loads(tokenizer.to_str())["model"]


def _byte_level(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
