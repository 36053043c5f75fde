"""An answer in a terminal: printed as it comes."""

from collections.abc import Iterable, Sequence

import click

from ossc.runtimes.answer import MESSAGE_SEPARATOR
from ossc.runtimes.harmony import FINAL_CHANNEL, HarmonyStream, Piece
from ossc.runtimes.tokenizer import BundleTokenizer


class TokenPrinter:
    """Prints token ids, where there is no tokenizer."""

    def push(self, token_id: int) -> None:
        """Print a token."""
        click.echo(f"{token_id} ", nl=False)

    def finish(self) -> None:
        """End the line."""
        click.echo("")


class TextPrinter:
    """Prints the text of a continuation."""

    def __init__(self, tokenizer: BundleTokenizer) -> None:
        """Begin a text."""
        self._stream = tokenizer.stream()

    def push(self, token_id: int) -> None:
        """Print the characters that a token completes."""
        click.echo(self._stream.push(token_id), nl=False)

    def finish(self) -> None:
        """Print what was held back, and end the line."""
        click.echo(self._stream.finish())


class ChatPrinter:
    """Prints the answer of a model that speaks harmony; other channels go to stderr."""

    def __init__(
        self, tokenizer: BundleTokenizer, prompt_ids: Sequence[int], *, show_thinking: bool
    ) -> None:
        """Begin an answer.

        Args:
            tokenizer: Of the model.
            prompt_ids: The prompt that it continues.
            show_thinking: Whether what is not the answer is printed too.
        """
        self._stream = HarmonyStream(tokenizer, prompt_ids)
        self._show_thinking = show_thinking
        self._has_answer = False

    def push(self, token_id: int) -> None:
        """Print the characters that a token completes."""
        self._show(self._stream.push(token_id))

    def finish(self) -> None:
        """Print what was held back, and end the line."""
        self._show(self._stream.finish())
        click.echo("")

    def _show(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.channel == FINAL_CHANNEL:
                separator = MESSAGE_SEPARATOR if piece.begins and self._has_answer else ""
                self._has_answer = True
                click.echo(f"{separator}{piece.text}", nl=False)
            elif self._show_thinking:
                click.secho(f"{_title(piece)}{piece.text}", nl=False, err=True, dim=True)


def _title(piece: Piece) -> str:
    if not piece.begins:
        return ""
    recipient = f" to={piece.recipient}" if piece.recipient else ""
    return f"\n[{piece.channel or 'no channel'}{recipient}] "
