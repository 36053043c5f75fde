"""The order in which a router chooses experts, on every device: by falling logit, then by index."""

from ossc.targets.errors import LoweringError

NAN_KEY = 2**31 - 1
"""Sorts above the key of infinity, as in ``torch.topk``: an expert that cannot be judged is not
dropped without a word, since all weights and with them the logits of the token become NaN."""

MAGNITUDE_BITS = 0x7FFFFFFF
INFINITY_BITS = 0x7F800000


def check_choice(experts: int, k: int) -> None:
    """Refuse a choice that cannot be made.

    Raises:
        LoweringError: There are fewer experts than are to be chosen, or none is.
    """
    if not 1 <= k <= experts:
        raise LoweringError(
            f"A router chooses {k} of {experts} experts; give a number from 1 to {experts}."
        )
