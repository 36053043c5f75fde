"""Control tokens where they are said to be, and text everywhere else."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ossc.runtimes.literal_tokenizer import LiteralTokenizer, Piece
from ossc.targets.errors import SessionError


def text(value):
    return Piece(text=value, is_control=False)


def control(value):
    return Piece(text=value, is_control=True)


def byte_level(**options):
    """Special tokens behind the vocabulary, as usual, and one that is not special."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({each: i for i, each in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<a>", normalized=False)])
    tokenizer.add_tokens([AddedToken("<b>", normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<c>", normalized=False, **options)])
    return tokenizer


def test_control_tokens_keep_their_ids():
    tokenizer = byte_level()
    literal = LiteralTokenizer(tokenizer, ["<a>", "<c>"])
    token_ids = literal.encode([text("<a>x<b>"), control("<c>"), control("<a>"), text("<c>")])
    assert [i for i in token_ids if i >= 256] == [257, 258, 256]
    assert tokenizer.decode(token_ids, skip_special_tokens=False) == "<a>x<b><c><a><c>"


def test_the_tokenizer_itself_stays_as_it_is():
    tokenizer = byte_level()
    before = tokenizer.to_str()
    LiteralTokenizer(tokenizer, ["<a>"]).encode([text("<a>"), control("<a>")])
    assert tokenizer.to_str() == before


def test_a_token_that_takes_the_blanks_before_it_still_does():
    tokenizer = byte_level(lstrip=True)
    literal = LiteralTokenizer(tokenizer, ["<a>", "<c>"])
    assert literal.encode([text("x  "), control("<c>")]) == tokenizer.encode("x  <c>").ids


def test_what_a_model_has_no_piece_for_is_its_unknown_token():
    model = models.WordLevel({"<unk>": 0, "a": 1, "<s>": 2}, "<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<unk>", "<s>"])
    literal = LiteralTokenizer(tokenizer, ["<unk>", "<s>"])
    assert literal.encode([control("<s>"), text("a z")]) == [2, 1, 0]


def test_a_model_that_makes_control_tokens_of_text_is_refused():
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("a", -1.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    literal = LiteralTokenizer(tokenizer, ["<unk>", "</s>"])
    assert literal.encode([text("a"), control("</s>")]) == [2, 1]
    with pytest.raises(SessionError, match="cannot be kept apart"):
        literal.encode([text("a</s>")])
