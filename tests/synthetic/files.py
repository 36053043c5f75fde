"""Writing safetensors files by our own hand, as a stream or as a sparse file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from synthetic.layout import DTYPE_BYTES, SyntheticTensor

SINGLE_FILE = "model.safetensors"


def write_tensors(
    path: Path,
    tensors: Sequence[SyntheticTensor],
    *,
    seed: int,
    max_shard_bytes: int | None,
    sparse: bool,
) -> None:
    """Write all tensors, in one file or in shards with an index."""
    shards = split_into_shards(tensors, max_shard_bytes)
    names = [f"model-{i:05d}-of-{len(shards) - 1:05d}.safetensors" for i in range(len(shards))]
    if max_shard_bytes is None:
        names = [SINGLE_FILE]
    else:
        write_index(path, shards, names)
    for name, shard in zip(names, shards, strict=True):
        write_file(path / name, shard, seed=seed, sparse=sparse)


def split_into_shards(
    tensors: Sequence[SyntheticTensor], max_shard_bytes: int | None
) -> list[list[SyntheticTensor]]:
    """Fill shard after shard; in each, larger types come first, so that every tensor is aligned."""
    shards: list[list[SyntheticTensor]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and max_shard_bytes and size + tensor.length_bytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.length_bytes
    return [sorted(shard, key=lambda tensor: -DTYPE_BYTES[tensor.dtype]) for shard in shards]


def write_index(
    path: Path, shards: Sequence[Sequence[SyntheticTensor]], names: Sequence[str]
) -> None:
    """Write model.safetensors.index.json."""
    weight_map = {
        tensor.name: name for name, shard in zip(names, shards, strict=True) for tensor in shard
    }
    total = sum(tensor.length_bytes for shard in shards for tensor in shard)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (path / f"{SINGLE_FILE}.index.json").write_text(json.dumps(index, indent=2))


def write_file(path: Path, tensors: Sequence[SyntheticTensor], *, seed: int, sparse: bool) -> None:
    """Write one safetensors file; a sparse one has the right length but zeros for data."""
    header = header_bytes(tensors)
    with path.open("wb") as file:
        file.write(header)
        if sparse:
            file.truncate(len(header) + sum(tensor.length_bytes for tensor in tensors))
            return
        for tensor in tensors:
            written = sum(file.write(chunk.data.cast("B")) for chunk in tensor.chunks(seed))
            assert written == tensor.length_bytes, tensor.name


def header_bytes(tensors: Sequence[SyntheticTensor]) -> bytes:
    """Return the length and the JSON of a header, padded so that the data begins aligned."""
    fields: dict[str, Any] = {"__metadata__": {"format": "pt"}, **dict(_entries(tensors))}
    text = json.dumps(fields).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _entries(tensors: Sequence[SyntheticTensor]) -> Iterator[tuple[str, dict[str, Any]]]:
    begin = 0
    for tensor in tensors:
        end = begin + tensor.length_bytes
        yield (
            tensor.name,
            {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]},
        )
        begin = end
