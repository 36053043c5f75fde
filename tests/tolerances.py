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

ATTENTION = {"f32": 3e-6, "f16": 3e-3, "int8": 0.05}
"""Attention against float64 by the type of the cache, values near 1: scores of up to 80 terms, 300
keys. Where a token sees a key or two, the cache's rounding is the result's."""

KV_LOGITS = {"f16": 1e-3, "int8": 2e-2}
"""Logits with a shorter type of KV caches against float32 ones: the median position's largest
difference, relative to its largest logit. Keys and values have 11 or 8 bits. Measured: 3.2e-4
and 8e-3, on random weights."""

EXP_ULP = 2
"""The exponential against float64, in units in the last place of float32. Measured: 1."""

BUNDLE_LOGITS = 2e-5
"""A bundle with float32 activations against transformers or onnxruntime in float32, relative to the
position's largest logit: only the order of sums differs. Measured: 3e-6 (2e-4 is required)."""

COSINE = 0.9995
"""Smallest cosine of a position's logits that any integer activations may have: what is required.
With two int8 terms it is over 0.9999999."""

INT8X2_LOGITS = 1e-3
"""A bundle with activations of two int8 terms against onnxruntime in float32, relative to the
position's largest logit: 32258 steps either side of zero, two or three layers. Measured: 4.4e-4."""

SAME_CODES = 0.8
"""With activations of one int8 term, the share of positions within BUNDLE_LOGITS of onnxruntime
with the same rounding: where a value lies between two codes, sums in another order round it the
other way, and that position and what follows it differ by up to 2 %. Measured: over 0.92."""

ROUNDING_RATIO = 1.05
"""Error of a bundle with integer activations over that of the same rounding in onnxruntime, both in
root mean square against float32 activations. Measured: 0.99 to 1.01."""

PREDICTED_PHASE = 0.15
"""A predicted token or prompt against a measured one: what is aimed at. With limits probed beside
each repeat 0 to 6 %, and 10 % for a prompt of 8 tokens."""

PREDICTED_KERNEL = 0.2
"""The same for all calls of one operation, whose errors partly cancel in the sum: up to 17 %."""

GPU_LOGITS = 1e-4
"""A GPU's bundle against a CPU's, both with float32 activations, relative to the largest logit:
only the order of sums differs. What is required; measured: 3e-6."""

GPU_COSINE = {"f32": 0.9999, "int8": 0.9995}
"""Smallest cosine of a position's logits between a GPU's bundle, with float32 activations, and a
CPU's with two int8 terms, by the type of the KV caches: what is required, and for int8 as much as
integer activations may cost. Measured with f32: over 0.9999998."""
