"""A tokenizer for texts in which it is known which occurrences of a control token are real."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from tokenizers import AddedToken, Tokenizer

from ossc.targets.errors import SessionError

_UNKNOWN_CHARACTER = "\U0010fffd"
"""The last private-use character, which no vocabulary has a piece for."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a text."""

    text: str
    is_control: bool
    """Whether it is the text of a control token, and stands for that token."""


class LiteralTokenizer:
    """Encodes pieces as the tokenizer encodes their text, but for control tokens.

    The tokenizer's model, normalizer and pre-tokenizer see the whole text at once. Only the names
    of the control tokens differ: they are ones that no text holds, so that the usual ones are
    text like any other.
    """

    def __init__(self, tokenizer: Tokenizer, control_tokens: Iterable[str]) -> None:
        """Rename control tokens.

        Args:
            tokenizer: Stays as it is.
            control_tokens: Texts of added tokens.
        """
        self._tokenizer = tokenizer
        self._prefix = uuid4().hex
        self._names = {
            token: f"<{self._prefix}-{i}>" for i, token in enumerate(sorted(control_tokens))
        }
        self._literal = self._renamed()
        added = {id_: t.content for id_, t in tokenizer.get_added_tokens_decoder().items()}
        names = {id_: self._names.get(token, token) for id_, token in added.items()}
        self._id_of = {self._literal.token_to_id(name): id_ for id_, name in names.items()}
        self._named_ids = {self._literal.token_to_id(name) for name in self._names.values()}
        # What a model has no piece for becomes its unknown token, which often is a special one.
        unknown_ids = self._literal.encode(_UNKNOWN_CHARACTER).ids
        self._control_ids = {tokenizer.token_to_id(token) for token in self._names}
        self._control_ids -= {*self._id_of, *unknown_ids}

    def _renamed(self) -> Tokenizer:
        literal = Tokenizer(self._tokenizer.model)
        if self._tokenizer.normalizer is not None:
            literal.normalizer = self._tokenizer.normalizer
        if self._tokenizer.pre_tokenizer is not None:
            literal.pre_tokenizer = self._tokenizer.pre_tokenizer
        added = sorted(self._tokenizer.get_added_tokens_decoder().items())
        literal.add_tokens([self._rename(token) for _, token in added])
        return literal

    def _rename(self, token: AddedToken) -> AddedToken:
        if token.content not in self._names:
            return token
        return AddedToken(
            self._names[token.content],
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            normalized=False,
            special=False,
        )

    def encode(self, pieces: Iterable[Piece]) -> list[int]:
        """Token ids of a text.

        Args:
            pieces: The text; control tokens are where it is said so, and nowhere else.

        Raises:
            SessionError: The tokenizer makes control tokens of text that is none.
        """
        parts = list(pieces)
        text = "".join(self._names[p.text] if p.is_control else p.text for p in parts)
        raw_ids = self._literal.encode(text, add_special_tokens=False).ids
        n_named = sum(raw_id in self._named_ids for raw_id in raw_ids)
        if n_named != sum(p.is_control for p in parts) or not self._control_ids.isdisjoint(raw_ids):
            raise SessionError(
                "The tokenizer makes a control token of the text of one in a message, so they "
                "cannot be kept apart; take it out of the message, or allow control tokens."
            )
        return [self._id_of.get(raw_id, raw_id) for raw_id in raw_ids]
