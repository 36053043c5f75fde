"""The corpus as token ids: what training reads, and what evaluation reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sample_model.config import END_OF_TEXT_ID, TRAINING_CONTEXT
from sample_model.corpus import Document, chat_examples


@dataclass(frozen=True)
class Dataset:
    """One long stream of training tokens, cut into windows anew in every epoch."""

    tokens: NDArray[np.uint16]
    seed: int

    def windows(self, first: int, count: int) -> NDArray[np.int64]:
        """Return windows first, first + 1, … of the endless sequence, [count, context + 1]."""
        per_epoch = len(self.tokens) // TRAINING_CONTEXT - 1
        picked = [
            self.window(*divmod(n, per_epoch), per_epoch) for n in range(first, first + count)
        ]
        return np.stack(picked).astype(np.int64)

    def window(self, epoch: int, place: int, per_epoch: int) -> NDArray[np.uint16]:
        """Return one window: each epoch has its own order and its own first cut."""
        random = np.random.default_rng((self.seed, epoch))
        offset = random.integers(TRAINING_CONTEXT)
        begin = offset + random.permutation(per_epoch)[place] * TRAINING_CONTEXT
        return self.tokens[begin : begin + TRAINING_CONTEXT + 1]


def training_set(tokenizer: Tokenizer, documents: Sequence[Document], seed: int) -> Dataset:
    """Encode files and chat examples, mixed by the seed, with an end-of-text after each."""
    texts = [document.text for document in documents]
    texts += [example for document in documents for example in chat_examples(document)]
    order = np.random.default_rng(seed).permutation(len(texts))
    return Dataset(encode(tokenizer, [texts[i] for i in order]), seed)


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.uint16]:
    """Return the ids of all texts in one array, each text followed by end-of-text."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return np.concatenate([np.array([*e.ids, END_OF_TEXT_ID], np.uint16) for e in encodings])
