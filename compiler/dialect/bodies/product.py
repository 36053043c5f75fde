"""A product and its bias."""

from ossc.compiler.dialect.operation import Options


def product_body(options: Options, weight: str, result: str) -> str:
    """Return nodes that make ``x @ weight.T``, and add the bias where there is one."""
    if "bias" not in options:
        return f"{result} = Gemm <transB = 1> (x, {weight})\n"
    return (
        f"bias_f32 = Cast <to = 1> (bias)\n{result} = Gemm <transB = 1> (x, {weight}, bias_f32)\n"
    )
