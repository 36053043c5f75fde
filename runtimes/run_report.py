"""What a run is asked to do, and what it reports: the JSON of ``ossc run``."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, get_args

from ossc.runtimes.finish_reason import FinishReason
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import SessionError

if TYPE_CHECKING:
    from ossc.runtimes.answer import Answer
    from ossc.runtimes.sampler import SamplerArguments


_ANSWER_FIELDS = ("text", "thinking", "channels")
"""Fields of the JSON that are the tokens as text."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a prompt is continued."""

    max_new_tokens: int | None = 128
    """None: until the context is full."""
    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Draw among the fewest tokens that have this probability together."""
    seed: int = 0
    top_k: int = 0
    """Draw among so many of the likeliest tokens; 0 is all."""
    min_p: float = 0.0
    """Draw no token with less than this share of the likeliest one's probability."""
    repeat_penalty: float = 1.0
    """Logits of tokens that were there are divided by it, negative ones multiplied."""
    threads: int | None = None
    """None: one for each CPU."""
    weights: WeightsMode = "mapped"
    kv: KvType | None = None
    """The type of the KV caches; None: the bundle's default."""
    device: str | None = None
    """``KIND`` or ``KIND:WHICH``; None: what the environment says, or the best there is."""

    def sampling(self) -> "SamplerArguments":
        """Those that the sampler takes."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
        }


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What came out, how fast, and in how much memory."""

    token_ids: tuple[int, ...]
    """Without prompt and stop token."""
    finish_reason: FinishReason
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

    def to_json(self, answer: "Answer") -> str:
        """The line that ``ossc run --format json`` prints.

        Args:
            answer: The tokens as text.
        """
        fields: dict[str, Any] = {
            "token_ids": list(self.token_ids),
            "text": answer.text,
            "thinking": answer.thinking,
            "channels": _channels(answer),
        }
        fields |= {name: value for name, value in vars(self).items() if name != "token_ids"}
        if self.emulator is None:
            del fields["emulator"]
        return json.dumps(fields, ensure_ascii=False)

    @property
    def cut(self) -> str | None:
        """The sentence that says that more would have come, and how to have it."""
        if self.finish_reason == "length":
            return f"It was cut by -n {len(self.token_ids)}; have more with a larger one."
        if self.finish_reason == "context":
            return (
                f"It was cut because the context of {self.prefill_tokens + self.decode_tokens} "
                "tokens is full; give a shorter prompt, or compile the model with a larger "
                "--context."
            )
        return "It was interrupted; this is what came until then." if self.interrupted else None

    @property
    def interrupted(self) -> bool:
        """Whether SIGINT ended it."""
        return self.finish_reason == "interrupted"

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
            for name in _ANSWER_FIELDS:
                del fields[name]
            report = cls(token_ids=tuple(fields.pop("token_ids")), emulator=emulator, **fields)
            if report.finish_reason not in get_args(FinishReason):
                raise ValueError(report.finish_reason)
            return report
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SessionError(
                f"ossc-run printed {line[:80]!r}, which is not its report; compile the model again."
            ) from error


def _channels(answer: "Answer") -> list[dict[str, str | None]] | None:
    """Channel and text of each message, and the recipient of those that have one."""
    if answer.channels is None:
        return None
    optional = ("recipient",)
    return [
        {name: value for name, value in vars(each).items() if value or name not in optional}
        for each in answer.channels
    ]
