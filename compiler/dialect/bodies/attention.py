"""Attention over a cache: what its operation and the fused one share."""

from ossc.compiler.dialect.operation import Options, Port

ATTRIBUTES = ("num_heads", "num_kv_heads", "head_dim", "window", "scale")

CACHE_INPUTS: tuple[Port, ...] = (
    ("past_key", "f32 [B, nkv, P, hd]"),
    ("past_value", "f32 [B, nkv, P, hd]"),
    ("position_ids", "i64 [B, S]"),
)

OPTIONAL: tuple[Port, ...] = (("sinks", "float [nh]"), ("query_scale", "f32 [B, S]"))

OUTPUTS: tuple[Port, ...] = (
    ("y", "f32 [T, nh hd]"),
    ("present_key", "f32 [B, nkv, P + S, hd]"),
    ("present_value", "f32 [B, nkv, P + S, hd]"),
)

SIZES = """
    vector = Constant <value_ints = [1]> ()
    nh_scalar = Constant <value_int: int = @num_heads> ()
    nh = Reshape (nh_scalar, vector)
    nkv_scalar = Constant <value_int: int = @num_kv_heads> ()
    nkv = Reshape (nkv_scalar, vector)
    hd_scalar = Constant <value_int: int = @head_dim> ()
    hd = Reshape (hd_scalar, vector)
    query_columns = Mul (nh, hd)
    key_columns = Mul (nkv, hd)
"""
"""Nodes that make vectors of one integer out of the attributes."""

_HEADS = """
    batch_sequence = Shape (position_ids)
    query_shape = Concat <axis = 0> (batch_sequence, nh, hd)
    key_shape = Concat <axis = 0> (batch_sequence, nkv, hd)
    query_by_token = Reshape (query, query_shape)
    key_by_token = Reshape (key, key_shape)
    value_by_token = Reshape (value, key_shape)
    query_by_head = Transpose <perm = [0, 2, 1, 3]> (query_by_token)
    key_by_head = Transpose <perm = [0, 2, 1, 3]> (key_by_token)
    value_by_head = Transpose <perm = [0, 2, 1, 3]> (value_by_token)
    present_key = Concat <axis = 2> (past_key, key_by_head)
    present_value = Concat <axis = 2> (past_value, value_by_head)
"""

_MASK = """
    n_keys_vector = Shape <start = 2, end = 3> (present_key)
    n_keys = Squeeze (n_keys_vector)
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    key_position = Range (zero, n_keys, one)
    query_axes = Constant <value_ints = [1, 3]> ()
    query_position = Unsqueeze (position_ids, query_axes)
    causal = LessOrEqual (key_position, query_position)
    given_window = Constant <value_int: int = @window> ()
    is_full = Equal (given_window, zero)
    unbounded = Constant <value_int = 9223372036854775807> ()
    window = Where (is_full, unbounded, given_window)
    last_hidden = Sub (query_position, window)
    inside = Greater (key_position, last_hidden)
    visible = And (causal, inside)
    nothing = Constant <value = float {0}> ()
    never = Constant <value = float {-inf}> ()
    mask = Where (visible, nothing, never)
    unit = Constant <value_ints = [1]> ()
    per_head = Concat <axis = 0> (unit, nh, unit, unit)
    head_mask = Expand (mask, per_head)
"""

_SINKS = """
    sinks_f32 = Cast <to = 1> (sinks)
    sink = Reshape (sinks_f32, per_head)
    query_position_shape = Shape (query_position)
    sink_column = Expand (sink, query_position_shape)
    added_scores = Concat <axis = 3> (sink_column, head_mask)
    before_first_key = Constant <value_ints = [0, 0, 1, 0, 0, 0, 0, 0]> ()
    keys = Pad (present_key, before_first_key)
    values = Pad (present_value, before_first_key)
"""
"""The sink is one more key, all zeros, before the others; its score is the sink itself."""

_NO_SINKS = """
    added_scores = Identity (head_mask)
    keys = Identity (present_key)
    values = Identity (present_value)
"""

_SCALED = """
    scale_axes = Constant <value_ints = [1, 3]> ()
    scale_by_head = Unsqueeze (query_scale, scale_axes)
    scaled_query = Mul (query_by_head, scale_by_head)
"""

_ATTEND = """
    attended = Attention <scale: float = @scale> (scaled_query, keys, values, added_scores)
    y_by_token = Transpose <perm = [0, 2, 1, 3]> (attended)
    all_tokens = Constant <value_ints = [-1]> ()
    y_shape = Concat <axis = 0> (all_tokens, query_columns)
    y = Reshape (y_by_token, y_shape)
"""


def attention_body(options: Options) -> str:
    """Return nodes from ``query``, ``key`` and ``value`` ``[T, heads hd]`` to the outputs."""
    scaled = _SCALED if "query_scale" in options else "scaled_query = Identity (query_by_head)"
    sinks = _SINKS if "sinks" in options else _NO_SINKS
    return "\n".join([_HEADS, _MASK, sinks, scaled, _ATTEND])
