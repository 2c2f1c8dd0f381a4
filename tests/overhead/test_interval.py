"""The interval of a ratio: that of published tables, whatever single times are."""

from __future__ import annotations

import math
import random

import pytest

from otel_coverage.overhead.interval import fewest_pairs, interval


def pairs(count: int, ratio: float, seed: int, spread: float = 0.1) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [(math.exp(chance.gauss(0, spread)), ratio * math.exp(chance.gauss(0, spread))) for _ in range(count)]


@pytest.mark.parametrize(
    ("count", "confidence", "critical"), [(6, 0.95, 0), (10, 0.95, 8), (15, 0.95, 25), (20, 0.95, 52), (20, 0.99, 37)]
)
def test_its_ends_are_those_of_wilcoxons_signed_rank_test(count: int, confidence: float, critical: int) -> None:
    # `critical` is the largest statistic that rejects, of two-sided tables; so many means lie outside at each end
    given = pairs(count, 1.1, seed=count)
    found = interval(given, confidence)
    assert found is not None
    logs = [math.log(second / first) for first, second in given]
    means = sorted((logs[one] + logs[other]) / 2 for one in range(count) for other in range(one + 1))
    assert (found.low, found.high) == (math.exp(means[critical]), math.exp(means[-critical - 1]))


@pytest.mark.parametrize(("confidence", "fewest"), [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8), (0.999, 11)])
def test_too_few_pairs_have_none(confidence: float, fewest: int) -> None:
    assert fewest_pairs(confidence) == fewest
    assert interval(pairs(fewest - 1, 1.1, seed=1), confidence) is None
    assert interval(pairs(fewest, 1.1, seed=1), confidence) is not None


def test_it_holds_the_true_ratio_as_often_as_its_confidence_says() -> None:
    found = [interval(pairs(12, 1.05, seed), 0.95) for seed in range(1000)]
    held = sum(each is not None and each.low <= 1.05 <= each.high for each in found)
    assert 930 <= held <= 975  # seeds are fixed: the same number each time


def test_a_single_time_that_is_far_off_hardly_matters() -> None:
    given = pairs(20, 1.05, seed=3, spread=0.01)
    calm = interval(given, 0.95)
    disturbed = interval([*given[:-1], (given[-1][0], 50.0)], 0.95)
    assert calm is not None
    assert disturbed is not None
    assert disturbed.ratio == pytest.approx(calm.ratio, rel=0.01)
    assert disturbed.precision < 0.02
