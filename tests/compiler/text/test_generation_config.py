"""generation_config.json on its way into the bundle."""

import pytest

from ossc.compiler.bundle import copy_text_files
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.compiler.text.generation_config import check_generation_config
from ossc.targets.errors import ConfigError
from synthetic import SyntheticShape, make_checkpoint


def test_a_checkpoint_may_have_none(tmp_path):
    check_generation_config(tmp_path)


def test_it_is_copied_as_it_is(tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (tmp_path / "generation_config.json").write_bytes(b'{"top_k":  20}')
    copy_text_files(tmp_path, bundle)
    assert (bundle / "generation_config.json").read_bytes() == b'{"top_k":  20}'


def test_a_malformed_one_is_refused_before_any_work(tmp_path):
    make_checkpoint(tmp_path / "model", SyntheticShape())
    (tmp_path / "model" / "generation_config.json").write_text('{"temperature": "hot"}')
    with pytest.raises(ConfigError, match="'hot' for 'temperature', which is not a number"):
        compile_model(Recipe(model=tmp_path / "model", out=tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()
