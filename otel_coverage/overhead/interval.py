"""The ratio of paired times, with a confidence interval that assumes no distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from statistics import median


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio of times.

    Attributes:
        ratio: the estimate.
        low, high: the ends of its confidence interval.
    """

    ratio: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """How far the farther end is from the estimate, as a share of it: 0.02 for ±2 %."""
        return max(self.high / self.ratio - 1, 1 - self.low / self.ratio)


def interval(pairs: Sequence[tuple[float, float]], confidence: float) -> Interval | None:
    """The ratio of second to first of pairs of times, and its interval; None where there are too few pairs.

    What disturbs a machine multiplies times, and disturbs either time of a pair alike, so the logarithms of the ratios
    lie symmetrically around that of the true one, whatever their distribution is. For such values Hodges and Lehmann's
    estimate is the median of the means of all pairs of them, each with itself included (the Walsh averages), and
    Wilcoxon's signed rank test gives an exact interval: from the k-th smallest of these means to the k-th largest,
    where k is the largest for which ``P(T < k)`` is at most half of what the confidence leaves. See Hollander, Wolfe
    and Chicken, Nonparametric Statistical Methods, third edition (2014), sections 3.2 and 3.3. Single times that are
    far off hardly move either.

    To stop as soon as the interval is narrow makes its confidence a little less than it says; that vanishes as pairs
    become more: Chow and Robbins, Annals of Mathematical Statistics 36 (1965), 457–462.

    Args:
        pairs: seconds without and with; above 0.
        confidence: above 0, below 1.
    """
    rank = _rank(len(pairs), confidence)
    if not rank:
        return None
    logs = [math.log(second / first) for first, second in pairs]
    means = sorted((one + other) / 2 for one, other in combinations_with_replacement(logs, 2))
    return Interval(math.exp(median(means)), math.exp(means[rank - 1]), math.exp(means[-rank]))


def fewest_pairs(confidence: float) -> int:
    """How many pairs an interval needs at least: 6 for 0.95."""
    return 1 + math.floor(1 - math.log2(1 - confidence) - 1e-9)


def _rank(pairs: int, confidence: float) -> int:
    """The k of :func:`interval`; 0 where the confidence cannot be reached."""
    most, sums = (1 - confidence) / 2 * 2**pairs, 0
    for rank, count in enumerate(_signed_ranks(pairs)):
        sums += count
        if sums > most * (1 + 1e-9):
            return rank
    return 0


@cache
def _signed_ranks(pairs: int) -> tuple[int, ...]:
    """How many subsets of the ranks from 1 to ``pairs`` have each sum, from 0 on."""
    if not pairs:
        return (1,)
    without = _signed_ranks(pairs - 1)
    most = pairs * (pairs + 1) // 2
    return tuple(
        (without[each] if each < len(without) else 0) + (without[each - pairs] if each >= pairs else 0)
        for each in range(most + 1)
    )
