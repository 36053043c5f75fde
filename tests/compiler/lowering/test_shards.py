"""Weights in files of bounded size."""

from ossc.compiler.lowering.shards import PAGE_BYTES, place_weights
from ossc.compiler.lowering.weights import PackedWeight


def weight(name: str, size_bytes: int) -> PackedWeight:
    return PackedWeight(name=name, size_bytes=size_bytes, scheme="f32", pieces=lambda: iter([]))


WEIGHTS = [weight("a", 100), weight("b", 5000), weight("c", 300), weight("d", 20000)]


def test_without_a_bound_all_lie_in_one_file_the_large_ones_at_pages():
    (shard,) = place_weights(WEIGHTS, 512, None)
    assert shard.file == "weights.bin"
    assert shard.offsets == {"a": 0, "b": PAGE_BYTES, "c": 9216, "d": 3 * PAGE_BYTES}
    assert shard.size_bytes == 8 * PAGE_BYTES


def test_a_file_ends_before_the_weight_that_would_make_it_too_large():
    shards = place_weights(WEIGHTS, 512, 10000)
    assert [shard.offsets for shard in shards] == [
        {"a": 0, "b": PAGE_BYTES, "c": 9216},
        {"d": 0},  # larger than the bound, and so alone
    ]
    assert [shard.file for shard in shards] == ["weights.bin", "weights.001.bin"]
    assert [shard.size_bytes for shard in shards] == [3 * PAGE_BYTES, 5 * PAGE_BYTES]


def test_a_file_of_weights_is_there_even_without_any():
    (shard,) = place_weights([], 64, 100)
    assert (shard.offsets, shard.size_bytes) == ({}, 0)
