"""Products with the matrices of the chosen experts, and the sum of their results."""

from ossc.compiler.dialect.operation import Operation, WeightInput

EXPERT_SWIGLU = Operation(
    name="ExpertSwiGlu",
    summary=(
        "weight @ x + bias of each chosen expert, then (up + 1) * gate * sigmoid(alpha * gate) of "
        "its even rows (gate, clamped above at limit) and odd rows (up, clamped both ways)"
    ),
    inputs=(
        ("x", "f32 [T, H]"),
        ("indices", "i64 [T, k]"),
        ("weight", "[E, 2I, H]"),
        ("bias", "float [E, 2I]"),
    ),
    outputs=(("y", "f32 [T, k, I]"),),
    attributes=("alpha", "limit"),
    weight=WeightInput(index=2, tensor_class="experts", gathered_by="indices"),
    body="""
        x_axes = Constant <value_ints = [1, 3]> ()
        x_column = Unsqueeze (x, x_axes)
        product = MatMul (matrix, x_column)
        last_axis = Constant <value_ints = [-1]> ()
        flat = Squeeze (product, last_axis)
        chosen_bias = Gather <axis = 0> (bias, indices)
        bias_f32 = Cast <to = 1> (chosen_bias)
        gate_up = Add (flat, bias_f32)
        zero = Constant <value_ints = [0]> ()
        one = Constant <value_ints = [1]> ()
        two = Constant <value_ints = [2]> ()
        end = Constant <value_ints = [9223372036854775807]> ()
        gate = Slice (gate_up, zero, end, last_axis, two)
        up = Slice (gate_up, one, end, last_axis, two)
        limit = Constant <value_float: float = @limit> ()
        least = Neg (limit)
        clamped_gate = Min (gate, limit)
        clamped_up = Clip (up, least, limit)
        swish = Swish <alpha: float = @alpha> (clamped_gate)
        unit = Constant <value = float {1}> ()
        scaled_up = Add (clamped_up, unit)
        y = Mul (scaled_up, swish)
    """,
)

EXPERT_LINEAR = Operation(
    name="ExpertLinear",
    summary="weight @ x + bias of each chosen expert",
    inputs=(
        ("x", "f32 [T, k, I]"),
        ("indices", "i64 [T, k]"),
        ("weight", "[E, H, I]"),
        ("bias", "float [E, H]"),
    ),
    outputs=(("y", "f32 [T, k, H]"),),
    weight=WeightInput(index=2, tensor_class="experts", gathered_by="indices"),
    body="""
        last_axis = Constant <value_ints = [-1]> ()
        x_column = Unsqueeze (x, last_axis)
        product = MatMul (matrix, x_column)
        flat = Squeeze (product, last_axis)
        chosen_bias = Gather <axis = 0> (bias, indices)
        bias_f32 = Cast <to = 1> (chosen_bias)
        y = Add (flat, bias_f32)
    """,
)

COMBINE_EXPERTS = Operation(
    name="CombineExperts",
    summary="the sum of the experts' results, each times its weight",
    inputs=(("x", "f32 [T, k, H]"), ("weights", "f32 [T, k]")),
    outputs=(("y", "f32 [T, H]"),),
    body="""
        last_axis = Constant <value_ints = [-1]> ()
        slots = Constant <value_ints = [1]> ()
        weights_column = Unsqueeze (weights, last_axis)
        weighted = Mul (x, weights_column)
        y = ReduceSum <keepdims = 0> (weighted, slots)
    """,
)
