"""All modes of both sides, in turn, round after round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.beside.noise import Sample, have_met
from benchmarks.beside.process import Side, drop_from_page_cache
from benchmarks.beside.rows import Hooks, Measurement, ReadProbe, Row, SessionSize

Samples = dict[str, dict[str, list[list[Sample]]]]
"""Of one side: by row and mode, those of each round."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What is measured, how often and with which programs."""

    ours: Mapping[str, Side]
    """By mode."""

    theirs: Mapping[str, Side]
    rows: Sequence[Row]
    rounds: int
    hooks: Hooks
    size: SessionSize
    read_probe: ReadProbe

    def run(
        self, report: Callable[[str], None], before_round: Callable[[], None] = lambda: None
    ) -> tuple[Samples, Samples]:
        """Measure: one mode of ours, one of theirs, the next of ours, and so on.

        Args:
            report: Called with a line for each measurement.
            before_round: Called before each round.

        Returns:
            Our samples, and the peer's.

        Raises:
            MeasurementError: A program failed.
        """
        ours: Samples = {row.key: {} for row in self.rows}
        theirs: Samples = {row.key: {} for row in self.rows}
        # A file that was just written lies in small pages; one read again may get huge ones.
        sides = (*self.ours.values(), *self.theirs.values())
        for weights in {side.weights for side in sides}:
            drop_from_page_cache(weights)
        for number in range(self.rounds):
            before_round()
            for samples, mode, side in self._turns(ours, theirs):
                others = theirs if samples is ours else ours
                measured = self._measure(side, number, others)
                for key, of_round in measured.items():
                    samples[key].setdefault(mode, []).append(of_round)
                values = " ".join(
                    f"{key}={median(sample.value for sample in of_round):.4g}"
                    for key, of_round in measured.items()
                )
                report(f"round {number + 1}, {side.name}: {values}")
        return ours, theirs

    def _turns(self, ours: Samples, theirs: Samples) -> list[tuple[Samples, str, Side]]:
        sides = ((ours, self.ours), (theirs, self.theirs))
        turns = [
            (index, number, samples, mode)
            for number, (samples, modes) in enumerate(sides)
            for index, mode in enumerate(modes)
        ]
        turns.sort(key=lambda turn: turn[:2])
        return [(samples, mode, sides[number][1][mode]) for _, number, samples, mode in turns]

    def _measure(self, side: Side, number: int, others: Samples) -> dict[str, list[Sample]]:
        def met(key: str, samples: Sequence[Sample]) -> bool:
            turns = others[key].values()
            return have_met(samples, [rounds[number] for rounds in turns if len(rounds) > number])

        measurement = Measurement(side, self.rows, self.hooks, self.size, self.read_probe, met)
        return measurement.run(seed=number)
