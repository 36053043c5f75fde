"""Tokens to text one by one: the text of all of them, with work that grows as their number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ossc.runtimes.detokenizer import Detokenizer, TokenDecoder

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def byte_level():
    """Every byte, and tokens that begin or end within a character."""
    pieces = ["你好", "👩", " a", REPLACEMENT]
    levels = [pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(p) for p in pieces]
    words = ["".join(text for text, _ in level) for level in levels]
    parts = [words[0][2:5], words[0][:2], words[1][1:], words[1][:1] + words[0][:1], *words]
    vocabulary = {text: i for i, text in enumerate(dict.fromkeys([*ALPHABET, *parts]))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def word_level(decoder):
    """Words, bytes as of byte fallback, and what SentencePiece calls a blank."""
    words = ["▁a", "b", "▁", "▁▁", "▁▁c", REPLACEMENT, ",", "##d", "e</w>"]
    texts = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(texts)}, "<unk>"))
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens(["<s>"])
    return tokenizer


def llama():
    blank = decoders.Replace("▁", " ")
    return decoders.Sequence(
        [blank, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )


TOKENIZERS = {
    "byte-level": byte_level(),
    "byte-fallback": word_level(llama()),
    "metaspace": word_level(decoders.Metaspace()),
    "wordpiece": word_level(decoders.WordPiece()),
    "bpe-suffix": word_level(decoders.BPEDecoder("</w>")),
}


class CountingDecoder(TokenDecoder):
    """Counts the tokens that are decoded."""

    n_decoded = 0

    def decode(self, token_ids):
        """Decode as ever."""
        self.n_decoded += len(token_ids)
        return super().decode(token_ids)


def stream(decoder, token_ids):
    detokenizer = Detokenizer(decoder)
    return [*(detokenizer.push(token_id) for token_id in token_ids), detokenizer.finish()]


@st.composite
def texts(draw):
    """A tokenizer, and tokens of it: mostly those that are more than a byte, some unknown."""
    tokenizer = TOKENIZERS[draw(st.sampled_from(sorted(TOKENIZERS)))]
    size = tokenizer.get_vocab_size()
    usual = st.integers(256, size - 1) | st.sampled_from([0xE5, 0xBE, 0xA1, 0xF1, 0x81])
    token_ids = st.lists(usual | st.integers(0, size + 1), max_size=60)
    return tokenizer, draw(token_ids)


@given(texts())
def test_a_stream_is_the_text_of_all_tokens(text):
    tokenizer, token_ids = text
    assert "".join(stream(TokenDecoder(tokenizer), token_ids)) == tokenizer.decode(token_ids)


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
@given(st.lists(st.integers(1, 256), max_size=40))
def test_a_stream_of_bytes_is_their_text(name, token_ids):
    tokenizer = TOKENIZERS[name]
    assert "".join(stream(TokenDecoder(tokenizer), token_ids)) == tokenizer.decode(token_ids)


def byte_ids(tokenizer, data):
    if tokenizer is TOKENIZERS["byte-level"]:
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        alphabet = "".join(text for text, _ in level.pre_tokenize_str(data.decode()))
        return [tokenizer.token_to_id(character) for character in alphabet]
    return [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in data]


@pytest.mark.parametrize(
    ("name", "token_ids"),
    [
        pytest.param("byte-level", [TOKENIZERS["byte-level"].token_to_id("å")], id="unfinished"),
        pytest.param("byte-level", [TOKENIZERS["byte-level"].token_to_id("¾")], id="continued"),
        pytest.param("byte-level", [TOKENIZERS["byte-level"].token_to_id("<|end|>")], id="special"),
        pytest.param("byte-level", [10**6], id="unknown"),
        pytest.param("byte-level", byte_ids(TOKENIZERS["byte-level"], b"a b"), id="text"),
        pytest.param("byte-fallback", byte_ids(TOKENIZERS["byte-fallback"], b"\xe4"), id="byte"),
        pytest.param("byte-fallback", byte_ids(TOKENIZERS["byte-fallback"], b"a"), id="letter"),
        pytest.param("byte-fallback", [TOKENIZERS["byte-fallback"].token_to_id("▁")], id="blank"),
    ],
)
def test_the_work_grows_as_the_number_of_tokens(name, token_ids):
    decoder = CountingDecoder(TOKENIZERS[name])
    repeated = token_ids * (4000 // len(token_ids))
    assert "".join(stream(decoder, repeated)) == TOKENIZERS[name].decode(repeated)
    assert decoder.n_decoded < 12 * len(repeated)


@pytest.mark.parametrize("n_before", range(12))
@pytest.mark.parametrize("n_special", [0, 12])
def test_a_character_is_whole_wherever_its_bytes_are(n_before, n_special):
    tokenizer = TOKENIZERS["byte-level"]
    first, *rest = byte_ids(tokenizer, "👩".encode())
    special = [tokenizer.token_to_id("<|end|>")] * n_special
    token_ids = [*byte_ids(tokenizer, b"abcdefghijkl"[:n_before]), first, *special, *rest]
    pieces = stream(TokenDecoder(tokenizer), token_ids)
    assert "".join(pieces) == tokenizer.decode(token_ids)
    assert pieces[-2:] == ["👩", ""]


def test_bytes_that_are_no_character_are_not_held_back_for_ever():
    token_id = TOKENIZERS["byte-level"].token_to_id("å")
    *pieces, rest = stream(TokenDecoder(TOKENIZERS["byte-level"]), [token_id] * 10)
    assert "".join(pieces) == REPLACEMENT * 9
    assert rest == REPLACEMENT


def test_characters_in_byte_tokens_come_when_their_run_ends():
    tokenizer = TOKENIZERS["byte-fallback"]
    token_ids = [*byte_ids(tokenizer, "你".encode()), tokenizer.token_to_id("▁a")]
    assert stream(TokenDecoder(tokenizer), token_ids) == ["", "", "", "你 a", ""]


def test_after_its_end_a_stream_begins_anew():
    detokenizer = Detokenizer(TokenDecoder(TOKENIZERS["metaspace"]))
    token_id = TOKENIZERS["metaspace"].token_to_id("▁a")
    assert [detokenizer.push(token_id), detokenizer.push(token_id)] == ["a", " a"]
    assert detokenizer.finish() == ""
    assert detokenizer.push(token_id) == "a"


def test_a_tokenizer_without_a_decoder_puts_blanks_between():
    tokenizer = word_level(None)
    token_ids = [tokenizer.token_to_id("b")] * 30
    assert "".join(stream(TokenDecoder(tokenizer), token_ids)) == tokenizer.decode(token_ids)
