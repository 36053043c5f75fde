"""How far results may be apart, each with its reason."""

EXPORT_LOGITS = 1e-4
"""Exported ONNX against transformers, both float32, logits near 5: the sums are taken in other
orders, and inv_freq differs in the last bit. Measured: under 1e-5."""

PASS_LOGITS = 1e-5
"""Fused against exported ONNX, both float32 in onnxruntime, logits near 5: products of rows become
products of columns, which sums in another order. Measured: under 3e-6."""

FUNCTION = 2e-6
"""A function of the dialect in float32 against float64, relative to the largest value: rows of
under 200 terms."""

NORM = 3e-6
"""A norm in float32 against float64, relative: the squares of 2880 values are added in 8 lanes."""

PRODUCT = 2e-6
"""A matrix product in float32 against float64, relative to the largest: 2880 terms a row."""

ATTENTION = 3e-6
"""Attention in float32 against float64, values near 1: scores of up to 80 terms, 300 keys."""

EXP_ULP = 2
"""The exponential against float64, in units in the last place of float32. Measured: 1."""
