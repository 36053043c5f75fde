"""Products with the matrices of the chosen experts."""

from ossc.compiler.dialect.operation import Options

TRANSPOSED = "transposed"
"""A variant: the weight is ``[E, K, N]``; only a format of floats can be."""

SHARED = "shared"
"""A variant: a token's experts read one vector, x ``[T, K]``."""

_AXES_OF_X = {
    (False, False): "[-1]",
    (False, True): "[1, 3]",
    (True, False): "[2]",
    (True, True): "[1, 2]",
}
"""By transposed and shared: the axes that make x ``[T, k or 1, K, 1]`` or ``[T, k or 1, 1, K]``."""


def expert_product_body(options: Options, result: str) -> str:
    """Return nodes that make the products ``[T, k, N]``, biases added where there are some."""
    transposed = TRANSPOSED in options
    product = "product" if "bias" in options else result
    body = f"""
        vector_axes = Constant <value_ints = {_AXES_OF_X[transposed, SHARED in options]}> ()
        x_vectors = Unsqueeze (x, vector_axes)
        products = MatMul ({"x_vectors, matrix" if transposed else "matrix, x_vectors"})
        one_wide = Constant <value_ints = [{2 if transposed else 3}]> ()
        {product} = Squeeze (products, one_wide)
    """
    if "bias" not in options:
        return body
    return f"""{body}
        chosen_bias = Gather <axis = 0> (bias, indices)
        bias_f32 = Cast <to = 1> (chosen_bias)
        {result} = Add (product, bias_f32)
    """
