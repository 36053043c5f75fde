"""MXFP4 as gpt-oss stores its experts: a tensor of blocks and one of scales."""

from ossc.compiler.quantization import mxfp4
from ossc.compiler.storage.format import StorageFormat

FORMATS = (
    StorageFormat(
        format=mxfp4.SCHEME,
        suffixes=("_blocks", "_scales"),
        dtypes=("U8", "U8"),
        quant_method="mxfp4",
    ),
)
