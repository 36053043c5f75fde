"""One tensor of a float type: unquantized weights."""

from ossc.compiler.quantization import bf16, f16, f32
from ossc.compiler.storage.format import StorageFormat

FORMATS = (
    StorageFormat(format=bf16.SCHEME, suffixes=("",), dtypes=("BF16",)),
    StorageFormat(format=f16.SCHEME, suffixes=("",), dtypes=("F16",)),
    StorageFormat(format=f32.SCHEME, suffixes=("",), dtypes=("F32",)),
)
