"""What a run is asked to do, and what it reports: the JSON of ``ossc run``."""

import json
from dataclasses import dataclass
from typing import Any, Self

from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import SessionError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a prompt is continued."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Draw among the fewest tokens that have this probability together."""
    seed: int = 0
    threads: int | None = None
    """None: one for each CPU."""
    weights: WeightsMode = "mapped"
    kv: KvType | None = None
    """The type of the KV caches; None: the bundle's default."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What came out, how fast, and in how much memory."""

    token_ids: tuple[int, ...]
    """Without prompt and stop token."""
    prefill_tokens: int
    prefill_tokens_per_s: float
    decode_tokens: int
    """Tokens run after the prompt: one fewer than came out, unless a stop token ended the run."""
    decode_tokens_per_s: float
    load_s: float
    """From the call to the first token's computation: checks, mapping, threads."""
    peak_rss_bytes: int
    """Includes the mapped pages of ``weights.bin``."""
    peak_anonymous_bytes: int
    """The largest that was seen after a token."""
    emulator: str | None = None
    """The program that emulated the bundle's architecture; its times say nothing of a device."""

    def to_json(self, text: str | None) -> str:
        """The line that ``ossc run --format json`` prints.

        Args:
            text: The tokens as text; None without a tokenizer.
        """
        fields: dict[str, Any] = {"token_ids": list(self.token_ids), "text": text}
        fields |= {name: value for name, value in vars(self).items() if name != "token_ids"}
        if self.emulator is None:
            del fields["emulator"]
        return json.dumps(fields, ensure_ascii=False)

    def __str__(self) -> str:
        """The sentence that ``ossc run`` prints after the text."""
        megabyte = 1e6
        where = f"emulated by {self.emulator}; times are not a device's: " if self.emulator else ""
        return (
            f"{where}load {self.load_s:.3f} s, prefill {self.prefill_tokens} tokens at "
            f"{self.prefill_tokens_per_s:.1f} tok/s, decode {self.decode_tokens} tokens at "
            f"{self.decode_tokens_per_s:.1f} tok/s, peak memory "
            f"{self.peak_rss_bytes / megabyte:.0f} MB of which anonymous "
            f"{self.peak_anonymous_bytes / megabyte:.0f} MB"
        )

    @classmethod
    def from_json(cls, line: str, emulator: str | None = None) -> Self:
        """Read the line that ``ossc-run --format json`` prints.

        Raises:
            SessionError: It is another one.
        """
        try:
            fields = json.loads(line)
            del fields["text"]
            return cls(token_ids=tuple(fields.pop("token_ids")), emulator=emulator, **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SessionError(
                f"ossc-run printed {line[:80]!r}, which is not its report; compile the model again."
            ) from error
