"""Let the model write: ``python -m sample_model.generate CHECKPOINT``.

transformers generates here; the toolkit's own runtime has ``ossc run``.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from jinja2 import Template
from tokenizers import Tokenizer

from sample_model.save import load

PROMPTS = (
    "def read_file(path):",
    "class Stack:",
    "import os\nimport sys",
    "class TestQueue(unittest.TestCase):",
)
"""None ends in a line break: the tokenizer joins it with the indentation that follows."""

REQUESTS = (
    "Write the function `is_empty(self)`: Return True if the queue is empty.",
    "Write the function `get_name(self)`: Return the name of the file.",
    "Write the function `join_lines(lines)`: Join a list of lines into one string.",
)


def main() -> None:
    """Print a sample per prompt and per request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--new-tokens", type=int, default=120)
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(options.checkpoint / "tokenizer.json"))
    template = Template((options.checkpoint / "chat_template.jinja").read_text(encoding="utf-8"))
    texts = [*PROMPTS]
    for request in REQUESTS:
        messages = [{"role": "user", "content": request}]
        texts.append(template.render(messages=messages, add_generation_prompt=True))
    model: Any = load(options.checkpoint)
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
        torch.manual_seed(0)
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=options.new_tokens,
            do_sample=options.temperature > 0,
            temperature=options.temperature or None,
            eos_token_id=[0, 1],
            pad_token_id=0,
        )
        print(tokenizer.decode(out[0].tolist(), skip_special_tokens=False), end="\n-----\n")


if __name__ == "__main__":
    main()
