"""Rotary embedding and attention with sinks over the cache and the tokens of this call."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="SinkAttention",
    summary=(
        "rotates queries and keys, appends keys and values to the cache, and attends; "
        "query i sees keys i - window < j <= i (window 0: all j <= i), "
        "and exp(sink) joins the softmax's denominator"
    ),
    inputs=(
        ("qkv", "f32 [T, (nh + 2 nkv) hd]"),
        ("cos", "f32 [B, S, hd/2]"),
        ("sin", "f32 [B, S, hd/2]"),
        ("sinks", "float [nh]"),
        ("past_key", "f32 [B, nkv, P, hd]"),
        ("past_value", "f32 [B, nkv, P, hd]"),
        ("position_ids", "i64 [B, S]"),
    ),
    outputs=(
        ("y", "f32 [T, nh hd]"),
        ("present_key", "f32 [B, nkv, P + S, hd]"),
        ("present_value", "f32 [B, nkv, P + S, hd]"),
    ),
    attributes=("num_heads", "num_kv_heads", "head_dim", "window", "scale"),
    body="""
        vector = Constant <value_ints = [1]> ()
        nh_scalar = Constant <value_int: int = @num_heads> ()
        nh = Reshape (nh_scalar, vector)
        nkv_scalar = Constant <value_int: int = @num_kv_heads> ()
        nkv = Reshape (nkv_scalar, vector)
        hd_scalar = Constant <value_int: int = @head_dim> ()
        hd = Reshape (hd_scalar, vector)

        query_columns = Mul (nh, hd)
        key_columns = Mul (nkv, hd)
        columns = Concat <axis = 0> (query_columns, key_columns, key_columns)
        flat_query, flat_key, flat_value = Split <axis = -1> (qkv, columns)
        batch_sequence = Shape (position_ids)
        query_shape = Concat <axis = 0> (batch_sequence, nh, hd)
        key_shape = Concat <axis = 0> (batch_sequence, nkv, hd)
        query_by_token = Reshape (flat_query, query_shape)
        key_by_token = Reshape (flat_key, key_shape)
        value_by_token = Reshape (flat_value, key_shape)
        query = Transpose <perm = [0, 2, 1, 3]> (query_by_token)
        key = Transpose <perm = [0, 2, 1, 3]> (key_by_token)
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
        all_tokens = Constant <value_ints = [-1]> ()
        y_shape = Concat <axis = 0> (all_tokens, query_columns)
        y = Reshape (y_by_token, y_shape)
    """,
)
