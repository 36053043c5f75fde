"""``ossc schemes``."""

import json

from ossc.compiler.quantization import all_schemes
from ossc.compiler.quantization.plan import presets


def test_every_scheme_and_preset_is_listed(ossc):
    schemes, below = ossc("schemes").stdout.split("\nPresets (--quant):\n")
    assert [line.split()[0] for line in schemes.splitlines()] == [s.name for s in all_schemes()]
    assert [line.split()[0] for line in below.splitlines()] == list(presets())


def test_one_scheme_is_described(ossc):
    (line,) = ossc("schemes", "mxfp4").stdout.splitlines()
    assert line.split()[:2] == ["mxfp4", "4.25"]


def test_json_has_the_figures(ossc):
    by_name = {each["name"]: each for each in json.loads(ossc("schemes", "--format=json").stdout)}
    assert by_name["int8-g32"]["bits_per_weight"] == 8.5
    assert by_name["int8-g32"]["group_size"] == 32


def test_a_near_miss_is_suggested(refusal):
    assert "did you mean 'int8-g32' or" in refusal("schemes", "int8g32", exit_code=2)
