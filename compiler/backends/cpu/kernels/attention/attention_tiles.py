"""Attention of some rows over the keys of a range of positions, tile by tile."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_scores import Scores
from ossc.compiler.backends.cpu.kernels.attention.attention_state import State
from ossc.compiler.backends.cpu.kernels.attention.attention_values import add_values
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kv_cache import Cache
from ossc.compiler.backends.cpu.kv_cache.layout import TILE, Tile, TilePlace
from ossc.compiler.lowering.kernel import Expr


def attend(state: State, cache: Cache, span: Span) -> None:
    """Emit the attention to the positions of a span that each token sees, from an empty state."""
    rows = state.rows
    scores, reader = Scores(state), cache.reader()
    state.clear()
    with T.serial(span.begin // TILE, (span.end + (TILE - 1)) // TILE) as number:
        first = T.Bind(number * TILE)
        place = TilePlace.of(cache.shape, rows.kv_head, number)
        tile = reader.open(place, span.within(first, TILE))
        for token in rows.each_token():
            _attend_token(state, scores, token, tile, rows.sees(token).within(first, TILE))


def _attend_token(state: State, scores: Scores, token: Expr, tile: Tile, seen: Span) -> None:
    with T.If(seen.begin < seen.end), T.Then():
        for heads in state.rows.blocks(token):
            scores.compute(heads, tile, seen)
            with T.serial(heads.count) as which:
                scores.exponentiate(state.rows.row(token, heads.first + which), which)
            add_values(state, scores, heads, tile, seen)
