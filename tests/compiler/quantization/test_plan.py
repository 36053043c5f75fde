"""Presets and plan files."""

import pytest

from ossc.compiler.quantization.plan import load_plan, presets
from ossc.compiler.quantization.rules import AS_STORED, TENSOR_CLASSES
from ossc.targets.errors import QuantizationError, UnknownNameError


def test_none_keeps_the_checkpoint_and_float_activations():
    plan = load_plan("none")
    assert plan.schemes == dict.fromkeys(TENSOR_CLASSES, AS_STORED)
    assert plan.activations == "f32"


def test_default_keeps_mxfp4_experts_and_quantizes_the_rest():
    plan = load_plan("default")
    assert plan.schemes == {
        "experts": "mxfp4",
        "dense": "int8-g32",
        "embedding": "int8-g32",
        "head": "int8-g32",
    }
    assert plan.activations == "int8x2"


def test_small_holds_dense_matrices_and_the_head_in_four_bits():
    plan = load_plan("small")
    assert plan.schemes == {
        "experts": "mxfp4",
        "dense": "int4-g32",
        "embedding": "int8-g32",
        "head": "int4-g32",
    }
    assert plan.activations == "int8x2"


def test_a_scheme_is_a_preset_for_the_experts():
    plan = load_plan("bf16")
    assert plan.schemes["experts"] == "bf16"
    assert plan.schemes["dense"] == "int8-g32"
    schemes = {"mxfp4", "int4-g32", "int8-g32", "bf16", "f16", "f32"}
    assert set(presets()) == {"none", "default", "small", *schemes}


def test_an_unknown_preset_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'default'"):
        load_plan("defualt")


def test_a_file_states_what_differs_from_default(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('activations = "f32"\n[schemes]\nhead = "bf16"\nexperts = "as-stored"\n')
    plan = load_plan(str(path))
    assert plan.name == "mine"
    assert plan.activations == "f32"
    assert plan.schemes == {
        "dense": "int8-g32",
        "embedding": "int8-g32",
        "head": "bf16",
        "experts": AS_STORED,
    }


def test_a_rule_may_be_for_modules_and_the_last_that_matches_counts(tmp_path):
    path = tmp_path / "mixed.toml"
    path.write_text(
        '[schemes]\n"model.layers.[01].*" = "bf16"\ndense = "int4-g32"\n"*.o_proj" = "f32"\n'
    )
    plan = load_plan(str(path))
    for module, tensor_class, scheme in (
        ("model.layers.0.mlp.experts.down_proj", "experts", "bf16"),
        ("model.layers.2.mlp.experts.down_proj", "experts", "mxfp4"),
        ("model.layers.0.self_attn.qkv_proj", "dense", "int4-g32"),
        ("model.layers.7.self_attn.o_proj", "dense", "f32"),
        ("lm_head", "head", "int8-g32"),
    ):
        assert plan.scheme_of(module, tensor_class) == scheme, module


RULES = """
activations = "f32"
[schemes]
"model.layers.1.*" = "int8-g32"
[[rules]]
match = "experts"
experts = [0, "2-3", 3]
scheme = "int4-g32"
[[rules]]
match = "model.layers.0.*"
experts = ["3-5"]
scheme = "as-stored"
[[rules]]
match = "head"
scheme = "bf16"
"""


def test_a_rule_may_be_for_some_experts_and_comes_after_the_table(tmp_path):
    path = tmp_path / "experts.toml"
    path.write_text(RULES)
    plan = load_plan(str(path))
    assert plan.activations == "f32"
    assert [rule.experts for rule in plan.rules[-3:]] == [(0, 2, 3), (3, 4, 5), None]

    def schemes(module, tensor_class="experts"):
        return [plan.scheme_of(module, tensor_class, expert) for expert in range(6)]

    assert schemes("model.layers.0.mlp.experts.down_proj") == [
        *("int4-g32", "mxfp4", "int4-g32", AS_STORED, AS_STORED, AS_STORED)
    ]
    assert schemes("model.layers.1.mlp.experts.down_proj") == [
        *("int4-g32", "int8-g32", "int4-g32", "int4-g32", "int8-g32", "int8-g32")
    ]
    assert plan.scheme_of("model.layers.0.self_attn.o_proj", "dense") == "int8-g32"
    assert plan.scheme_of("lm_head", "head") == "bf16"
    changed = plan.with_schemes(experts="f32", dense="f16")
    assert changed.scheme_of("model.layers.2.x", "experts", 0) == "int4-g32"
    assert changed.scheme_of("model.layers.2.x", "experts", 1) == "f32"
    assert changed.scheme_of("model.layers.0.x", "dense") == "f16"


def rule(**fields: str) -> str:
    given = {"match": '"experts"', "scheme": '"bf16"', **fields}
    return "[[rules]]\n" + "\n".join(f"{key} = {value}" for key, value in given.items())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("activations =", "not a TOML file", id="syntax"),
        pytest.param('activation = "f32"', "did you mean 'activations'", id="key"),
        pytest.param('activations = "f16"', 'must be "f32", "int8" or', id="activations"),
        pytest.param("activations = []", 'must be "f32", "int8" or', id="activations-type"),
        pytest.param('schemes = "bf16"', "must be a table", id="table"),
        pytest.param('[schemes]\nexpert = "bf16"', "did you mean 'experts'", id="class"),
        pytest.param('[schemes]\n"a.*" = "int3"', r"a\.\*: There is no.*", id="pattern"),
        pytest.param("[schemes]\nhead = 8", "head must name a scheme", id="scheme-type"),
        pytest.param('[schemes]\nhead = "int8"', "head: There is no.*'int8-g32'", id="scheme"),
        pytest.param("rules = 3", r"rules must be tables, \[\[rules\]\]", id="rules"),
        pytest.param("rules = [3]", r"rules must be tables", id="rules-of-numbers"),
        pytest.param('[[rules]]\nmatch = "head"', "a rule lacks scheme", id="no-scheme"),
        pytest.param('[[rules]]\nscheme = "bf16"', "a rule lacks match", id="no-match"),
        pytest.param(rule(expert="[1]"), "did you mean 'experts'", id="rule-key"),
        pytest.param(rule(match='"expert"'), "did you mean 'experts'", id="rule-class"),
        pytest.param(rule(match="3"), "match must be a tensor class or a pattern", id="match-type"),
        pytest.param(rule(scheme="8"), "experts must name a scheme", id="rule-scheme-type"),
        pytest.param(rule(scheme='"int3"'), "experts: There is no", id="rule-scheme"),
        pytest.param(rule(experts="3"), "must be a list such as", id="experts-number"),
        pytest.param(rule(experts="[]"), r"must be a list such as .* not \[\]", id="no-experts"),
        pytest.param(rule(experts="[-1]"), "numbers from 0 on .* not -1", id="negative"),
        pytest.param(rule(experts="[true]"), "numbers from 0 on .* not True", id="bool"),
        pytest.param(rule(experts="[1.0]"), "numbers from 0 on", id="float"),
        pytest.param(rule(experts='["3"]'), "numbers from 0 on", id="text"),
        pytest.param(rule(experts='["8-4"]'), "numbers from 0 on .* not '8-4'", id="falling"),
        pytest.param(rule(experts='["0-99999"]'), "numbers from 0 on", id="too-many"),
        pytest.param(rule(experts="[99999]"), "numbers from 0 on", id="too-large"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, text, complaint):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(QuantizationError, match=complaint):
        load_plan(str(path))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(QuantizationError, match="not a TOML file"):
        load_plan(str(path))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(QuantizationError, match="Cannot read the plan"):
        load_plan(str(tmp_path / "gone.toml"))
