"""The choice of experts."""

from ossc.compiler.dialect.bodies.product import product_body
from ossc.compiler.dialect.operation import Operation, Options


def logits_body(options: Options) -> str:
    """Return nodes that make the experts' ``logits`` ``[T, E]``."""
    return "weight_f32 = Cast <to = 1> (weight)\n" + product_body(options, "weight_f32", "logits")


OPERATION = Operation(
    name="Router",
    summary="the k experts of the largest logits x @ weight.T + bias, and their softmax",
    inputs=(("x", "f32 [T, H]"), ("weight", "float [E, H]")),
    optional=(("bias", "float [E]"),),
    outputs=(("indices", "i64 [T, k]"), ("weights", "f32 [T, k]")),
    attributes=("k",),
    body=lambda options: (
        logits_body(options)
        + """
        k = Constant <value_int: int = @k> ()
        vector = Constant <value_ints = [1]> ()
        n_chosen = Reshape (k, vector)
        largest, indices = TopK <axis = -1, largest = 1, sorted = 1> (logits, n_chosen)
        weights = Softmax <axis = -1> (largest)
    """
    ),
)
