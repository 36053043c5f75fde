"""Text in messages stays text, even where it reads like a control token.

A chat template is trusted to write control tokens, and the messages are not. Their strings are
marked before the template is rendered: two characters that occur nowhere else are put around the
first character of whatever could begin a control token. What is a control token in the rendered
text without any mark in it was written by the template.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tokenizers import AddedToken, Tokenizer

from ossc.runtimes.chat_template import ChatTemplate, Message
from ossc.runtimes.literal_tokenizer import LiteralTokenizer, Piece
from ossc.targets.errors import SessionError

_PRIVATE_USE = range(0xE000, 0xF900)
"""Characters that stand for nothing, so that a text rarely has one."""


class ChatEncoder:
    """Encodes conversations with one template and one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        """Find out which tokens only the template may write.

        They are the special tokens; and, except in what the assistant said, the added tokens that
        the template writes and never looks for in a message (DeepSeek's role tokens are not
        special; ``</think>`` is looked for, and means what it says).
        """
        self._tokenizer = tokenizer
        self._template = template
        self._added = list(tokenizer.get_added_tokens_decoder().values())
        special = {token.content for token in self._added if token.special}
        names = {token.content for token in self._added if not token.content.isspace()}
        written = template.written_only(names - special)
        self._controls = frozenset(special | written)
        self._by_assistant = _Patterns.of(frozenset(special), frozenset(names - special))
        self._by_others = _Patterns.of(self._controls, frozenset(names - self._controls))
        self._literal: LiteralTokenizer | None = None

    def encode(self, messages: Sequence[Message], arguments: Mapping[str, Any]) -> list[int]:
        """Token ids of a conversation, up to where the answer begins.

        Raises:
            SessionError: The template refuses the messages, or makes of their text something that
                cannot be told from its own control tokens.
        """
        template = self._template.at_this_moment()
        plain = template.render(messages, **arguments)
        marks = _choose_marks(plain, template.source, messages, arguments)
        conversation = _Conversation(template=template, messages=messages, arguments=arguments)
        pieces = self._pieces(conversation, plain, marks)
        if pieces == list(self._split(plain, marks)):
            return list(self._tokenizer.encode(plain, add_special_tokens=False).ids)
        self._literal = self._literal or LiteralTokenizer(self._tokenizer, self._controls)
        return self._literal.encode(pieces)

    def _pieces(self, conversation: "_Conversation", plain: str, marks: "_Marks") -> list[Piece]:
        """The pieces of the rendered text.

        A template that looks for a text in a message does not find it behind the mark of its
        first character. Then whole control tokens are marked, and the template has to write the
        same control tokens as before.
        """
        first = self._render(conversation, marks, lambda patterns: patterns.first_characters)
        if first is None:
            return list(self._split(plain, marks))
        pieces = list(self._split(first, marks))
        if marks.remove(first) == plain:
            return pieces
        whole = self._render(conversation, marks, lambda patterns: patterns.whole_tokens)
        whole = plain if whole is None else whole
        again = list(self._split(whole, marks))
        if marks.remove(whole) != plain or _controls(again) != _controls(pieces):
            raise SessionError(_UNDECIDABLE)
        return again

    def _render(
        self, conversation: "_Conversation", marks: "_Marks", choice: "_Choice"
    ) -> str | None:
        """Render a marked conversation; None where there is nothing to mark."""

        def marked(value: Any, patterns: _Patterns) -> Any:
            return _marked(value, lambda text: marks.around(choice(patterns), text))

        messages = [marked(each, self._patterns(each)) for each in conversation.messages]
        arguments = marked(conversation.arguments, self._by_others)
        if messages == list(conversation.messages) and arguments == conversation.arguments:
            return None
        try:
            return conversation.template.render(messages, **arguments)
        except SessionError as error:  # it renders the messages without marks
            raise SessionError(_UNDECIDABLE) from error

    def _patterns(self, message: Message) -> "_Patterns":
        return self._by_assistant if message.get("role") == "assistant" else self._by_others

    def _split(self, text: str, marks: "_Marks") -> Iterator[Piece]:
        """Split a marked text at the control tokens that no mark is in."""
        pattern = marks.pattern(self._added)
        begin = 0
        for match in pattern.finditer(text):
            if match["added"] in self._controls:
                yield from _literal_piece(marks.remove(text[begin : match.start()]))
                yield Piece(text=match["added"], is_control=True)
                begin = match.end()
        yield from _literal_piece(marks.remove(text[begin:]))


_UNDECIDABLE = (
    "The chat template reads control tokens in the messages, so it cannot be told which of them "
    "are text; take them out of the messages, or allow control tokens."
)


@dataclass(frozen=True, kw_only=True)
class _Conversation:
    template: ChatTemplate
    messages: Sequence[Message]
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Patterns:
    """Match what could be one of some control tokens; and, as ``kept``, what is another token."""

    first_characters: re.Pattern[str]
    """Every character that begins a token; of those that begin with a letter, the whole token."""

    whole_tokens: re.Pattern[str]
    """Every token."""

    @classmethod
    def of(cls, tokens: frozenset[str], others: frozenset[str]) -> Self:
        """Make the patterns.

        Args:
            tokens: The control tokens.
            others: The other added tokens, which mean what they say.
        """
        words = {token for token in tokens if token[0].isalnum()}
        first = words | {token[0] for token in tokens - words}
        kept = f"(?P<kept>{_any(others)})"
        return cls(
            first_characters=re.compile(f"{kept}|{_any(first)}"),
            whole_tokens=re.compile(f"{kept}|{_any(tokens)}"),
        )


_Choice = Callable[[_Patterns], re.Pattern[str]]


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """Two characters that are in no text of a conversation."""

    begin: str
    end: str

    def around(self, pattern: re.Pattern[str], text: str) -> str:
        """The text with marks around what a pattern matches, but for what it keeps."""
        return pattern.sub(
            lambda match: match[0] if match["kept"] else f"{self.begin}{match[0]}{self.end}", text
        )

    def remove(self, text: str) -> str:
        """The text without marks."""
        return text.replace(self.begin, "").replace(self.end, "")

    def pattern(self, added: Sequence[AddedToken]) -> re.Pattern[str]:
        """Matches what is marked, a lost mark, or an added token, as the tokenizer does."""
        longest_first = sorted(added, key=lambda token: -len(token.content))
        names = "|".join(map(_occurrence, longest_first)) or _NOTHING
        marked = f"{self.begin}(?:.|{_any(token.content for token in added)}){self.end}"
        lost = f"[{self.begin}{self.end}]"
        return re.compile(f"{marked}|{lost}|(?P<added>{names})", re.DOTALL)


def _occurrence(token: AddedToken) -> str:
    name = re.escape(token.content)
    return rf"(?<!\w){name}(?!\w)" if token.single_word else name


def _choose_marks(*values: Any) -> _Marks:
    used = set().union(*(set(text) for value in values for text in _texts(value)))
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    begin, end = next(free, ""), next(free, "")
    if not end:
        raise SessionError(
            "The messages use every private-use character, so none is left to mark them; take "
            "some out, or allow control tokens."
        )
    return _Marks(begin=begin, end=end)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(name)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _marked(value: Any, mark: Callable[[str], str]) -> Any:
    """A copy of a message or an argument with all its texts marked, names of fields among them."""
    if isinstance(value, str):
        return mark(value)
    if isinstance(value, Mapping):
        return {_marked(name, mark): _marked(each, mark) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(each, mark) for each in value]
    return value


_NOTHING = "(?!)"


def _any(texts: Iterable[str]) -> str:
    """A pattern that matches any of some texts, longer ones before those that they begin with."""
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or _NOTHING


def _literal_piece(text: str) -> Iterator[Piece]:
    if text:
        yield Piece(text=text, is_control=False)


def _controls(pieces: Iterable[Piece]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_control]
