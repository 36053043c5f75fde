"""The command line, called in this process."""

import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers

from ossc.compiler.cli import main
from ossc.runtimes.run_report import RunReport
from ossc.runtimes.tokenizer import BundleTokenizer
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import VOCAB


@pytest.fixture
def ossc():
    """``ossc(*arguments)`` runs a command; the result has exit_code, stdout and stderr."""

    def run(*arguments, stdin=None):
        return CliRunner().invoke(main, [*map(str, arguments)], prog_name="ossc", input=stdin)

    return run


@pytest.fixture
def refusal(ossc):
    """``refusal(*arguments)`` runs a command that fails as it should, and returns its sentence."""

    def run(*arguments, exit_code=1):
        result = ossc(*arguments)
        assert result.exit_code == exit_code, result.output
        assert result.stdout == ""
        *before, sentence = result.stderr.splitlines()
        assert not any("Traceback" in line or "Error" in line for line in before)
        assert sentence.startswith("Error: ")
        assert sentence.endswith((".", "?"))
        return sentence.removeprefix("Error: ")

    return run


@pytest.fixture
def text_bundle(tiny_bundle):
    """The tiny bundle with a tokenizer of one word for each id, and a chat template."""
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCAB)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tiny_bundle / "tokenizer.json"))
    template = "w7 {{ messages[0].content }} w8"
    (tiny_bundle / "chat_template.jinja").write_text(template)
    for name in ("manifest.json", "manifest.sha256"):
        (tiny_bundle / name).unlink()
    return write_bundle(tiny_bundle)


class Answering:
    """A model that speaks harmony, and gives the tokens of a test as its answer."""

    TOKENS = {"<|start|>": 33, "<|channel|>": 34, "<|message|>": 35, "<|end|>": 36}  # noqa: RUF012

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(BundleTokenizer, "token_id", lambda _, token: self.TOKENS.get(token))
        for module in ("runtimes.harmony", "runtimes.answer", "compiler.cli.answer_printer"):
            monkeypatch.setattr(f"ossc.{module}.FINAL_CHANNEL", "w4")
        monkeypatch.setattr("ossc.runtimes.answer.ANALYSIS_CHANNEL", "w1")

    def __call__(self, token_ids, finish_reason="stop"):
        """Answer with these tokens from now on."""

        def run(_bundle, ids, options, on_token=lambda _: None):
            self.prompt_ids, self.options = ids, options
            for token_id in token_ids:
                on_token(token_id)
            return report(token_ids, finish_reason)

        self.monkeypatch.setattr("ossc.runtimes.run.run_bundle", run)


def report(token_ids, finish_reason):
    return RunReport(
        token_ids=tuple(token_ids),
        finish_reason=finish_reason,
        prefill_tokens=1,
        prefill_tokens_per_s=1.0,
        decode_tokens=1,
        decode_tokens_per_s=1.0,
        load_s=1.0,
        peak_rss_bytes=1,
        peak_anonymous_bytes=1,
    )


@pytest.fixture
def answering(monkeypatch):
    return Answering(monkeypatch)
