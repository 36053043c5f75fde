"""Rows of the embedding matrix."""

from ossc.compiler.dialect.operation import Operation, WeightInput

OPERATION = Operation(
    name="Embedding",
    summary="the rows of the tokens",
    inputs=(("ids", "i64 [T]"), ("weight", "[V, H]")),
    outputs=(("y", "f32 [T, H]"),),
    weight=WeightInput(index=1, tensor_class="embedding", gathered_by="ids"),
    body="y = Identity (matrix)",
)
