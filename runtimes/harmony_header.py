"""The header of a harmony message: role, channel, recipient, content type."""

CHANNELS = ("analysis", "commentary", "final")
"""Channels of the harmony response format."""

ROLES = ("assistant", "user", "system", "developer", "tool")

_RECIPIENT = "to="


class Header:
    """A header whose text comes piece by piece, and may be cut short anywhere.

    Before ``<|channel|>`` it is a role and perhaps a recipient (``assistant to=functions.f``),
    behind it a channel, perhaps a recipient, and perhaps a content type.
    """

    def __init__(
        self, text: str = "", *, has_channel: bool = False, recipient: str | None = None
    ) -> None:
        """Begin a header.

        Args:
            text: What there is of it.
            has_channel: Whether ``<|channel|>`` is behind.
            recipient: The one that was named before it.
        """
        self.has_channel = has_channel
        self._recipient = recipient
        self._text = text

    def add(self, text: str) -> None:
        """Go on with more text."""
        self._text += text

    @property
    def named_channel(self) -> str | None:
        """The channel of a whole header, its first word: it may be one that harmony lacks."""
        words = self._text.split()
        return words[0] if self.has_channel and words else None

    @property
    def channel(self) -> str | None:
        """The channel of a header that was cut short: words may follow it without a blank."""
        return _first(self._text, CHANNELS) if self.has_channel else None

    @property
    def recipient(self) -> str | None:
        """Whom the message is for, if the header says."""
        words = self._text.split()
        named = (word.removeprefix(_RECIPIENT) for word in words if word.startswith(_RECIPIENT))
        return next(named, self._recipient)

    @property
    def rest(self) -> str:
        """What is no part of a header that was cut short: the words behind it."""
        known = _first(self._text, CHANNELS if self.has_channel else ROLES)
        text = self._text.lstrip().removeprefix(known) if known else self._text
        if self.has_channel and not known and _begins_one(text.strip(), CHANNELS):
            return ""  # cut within the channel's name
        first, _, behind = text.lstrip().partition(" ")
        return behind if first.startswith(_RECIPIENT) else text


def _first(text: str, words: tuple[str, ...]) -> str | None:
    """The word that a text begins with."""
    begin = text.lstrip()
    return next((word for word in words if begin.startswith(word)), None)


def _begins_one(text: str, words: tuple[str, ...]) -> bool:
    return any(word.startswith(text) for word in words)
