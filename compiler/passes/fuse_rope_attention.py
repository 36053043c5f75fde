"""Rotary embedding, cache, mask, sinks and attention as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.passes.base import FLOAT, PatternPass, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern


def _attention_pattern(visible: str) -> Pattern:
    """Return the pattern of attention; ``visible`` are the nodes that say which keys are seen."""
    return Pattern(
        f"""<scale> (
            qkv, heights, cos, sin, sinks, past_key, past_value, position_ids,
            query_heads, key_heads, per_head, y_columns, window
        ) => (y, present_key, present_value) {{
            flat_query, flat_key, flat_value = Split <axis = -1> (qkv, heights)
            query_tokens = Shape (position_ids)
            query_shape = Concat <axis = 0> (query_tokens, query_heads)
            query_by_token = Reshape (flat_query, query_shape)
            query = Transpose <perm = [0, 2, 1, 3]> (query_by_token)
            key_tokens = Shape (position_ids)
            key_shape = Concat <axis = 0> (key_tokens, key_heads)
            key_by_token = Reshape (flat_key, key_shape)
            key = Transpose <perm = [0, 2, 1, 3]> (key_by_token)
            value_tokens = Shape (position_ids)
            value_shape = Concat <axis = 0> (value_tokens, key_heads)
            value_by_token = Reshape (flat_value, value_shape)
            value = Transpose <perm = [0, 2, 1, 3]> (value_by_token)
            rotated_query = RotaryEmbedding (query, cos, sin)
            rotated_key = RotaryEmbedding (key, cos, sin)
            present_key = Concat <axis = 2> (past_key, rotated_key)
            present_value = Concat <axis = 2> (past_value, value)

            n_keys_vector = Shape <start = 2, end = 3> (present_key)
            n_keys = Squeeze (n_keys_vector)
            zero = Constant <value_int = 0> ()
            one = Constant <value_int = 1> ()
            key_position = Range (zero, n_keys, one)
            query_axes = Constant <value_ints = [1, 3]> ()
            query_position = Unsqueeze (position_ids, query_axes)
            {visible}
            nothing = Constant <value = float {{0}}> ()
            never = Constant <value = float {{-inf}}> ()
            mask = Where (visible, nothing, never)
            sinks_f32 = Cast <to = 1> (sinks)
            sink = Reshape (sinks_f32, per_head)
            query_position_shape = Shape (query_position)
            sink_column = Expand (sink, query_position_shape)
            head_mask = Expand (mask, per_head)
            added_scores = Concat <axis = 3> (sink_column, head_mask)

            before_first_key = Constant <value_ints = [0, 0, 1, 0, 0, 0, 0, 0]> ()
            keys = Pad (present_key, before_first_key)
            values = Pad (present_value, before_first_key)
            attended = Attention <scale: float = @scale> (rotated_query, keys, values, added_scores)
            y_by_token = Transpose <perm = [0, 2, 1, 3]> (attended)
            y = Reshape (y_by_token, y_columns)
        }}"""
    )


class FuseRopeAttention(PatternPass):
    """Replace what lies between the fused QKV and the output projection by ``SinkAttention``.

    1. Each query sees the keys at or before it that are inside a window: fuse, with the window.
    2. Each query sees all keys at or before it: fuse, with the window 0.
    3. Any other mask, or sizes that do not fit together: leave it.
    """

    patterns: ClassVar = (
        _attention_pattern("""
            causal = LessOrEqual (key_position, query_position)
            last_hidden = Sub (query_position, window)
            inside = Greater (key_position, last_hidden)
            visible = And (causal, inside)
        """),
        _attention_pattern("visible = LessOrEqual (key_position, query_position)"),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1 or 2."""
        (window,) = match.constant("window") or [0] if "window" in match.values else [0]
        heads, key_heads = match.constant("query_heads"), match.constant("key_heads")
        if heads is None or key_heads is None or len(heads) != 2 or len(key_heads) != 2:
            return None
        (num_heads, head_dim), num_kv_heads = heads, key_heads[0]
        expected = {
            "key_heads": [num_kv_heads, head_dim],
            "heights": [head_dim * n for n in (num_heads, num_kv_heads, num_kv_heads)],
            "per_head": [1, num_heads, 1, 1],
            "y_columns": [-1, num_heads * head_dim],
        }
        if any(match.constant(name) != sizes for name, sizes in expected.items()):  # case 3
            return None
        cache = ("batch", num_kv_heads, "total_sequence", head_dim)
        names = ("qkv", "cos", "sin", "sinks", "past_key", "past_value", "position_ids")
        return fused_node(
            "SinkAttention",
            [match.values[name] for name in names],
            module_of(match.values["sinks"].name),
            attributes={
                "num_heads": num_heads,
                "num_kv_heads": num_kv_heads,
                "head_dim": head_dim,
                "window": window,
                "scale": match.attributes["scale"],
            },
            outputs=[
                (FLOAT, ["tokens", num_heads * head_dim]),
                (FLOAT, cache),
                (FLOAT, cache),
            ],
        )
