"""The difference of two figures of which only the intervals are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from reghar.measures.catalogue import Measure
from reghar.measures.estimate import Difference, detectable_difference

_QUANTILE = float(ndtri(0.975))
"""Standard errors in half of a 95% interval."""


@dataclass(frozen=True, kw_only=True)
class FromIntervals:
    """one - other of independent figures.

    The half-widths that face each other add up in squares (Zou and Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, 2008), so that skew is kept; p-values are
    the normal ones whose limits would just touch.
    """

    value: float
    below: float
    """Half-width of the 95% interval below the value."""
    above: float

    @property
    def standard_error(self) -> float:
        """Of the difference, half-widths taken as normal."""
        return (self.below + self.above) / 2 / _QUANTILE

    def interval(self, coverage: float = 0.95) -> tuple[float, float]:
        """Both ends."""
        scale = -float(ndtri((1 - coverage) / 2)) / _QUANTILE
        return self.value - scale * self.below, self.value + scale * self.above

    def p_value(self) -> float:
        """Two-sided, of the difference being 0."""
        return min(1.0, 2 * min(self.p_at_most(0.0), self.p_at_least(0.0)))

    def p_at_most(self, null: float) -> float:
        """One-sided, of a truth of at most `null`."""
        return _tail(self.value - null, self.below if self.value > null else self.above)

    def p_at_least(self, null: float) -> float:
        """One-sided, of a truth of at least `null`."""
        return _tail(null - self.value, self.above if self.value < null else self.below)


def _tail(distance: float, reach: float) -> float:
    if reach > 0:
        return float(ndtr(-_QUANTILE * distance / reach))
    return 0.0 if distance > 0 else 1.0


def independent_difference(one: Measure, other: Measure) -> Difference | None:
    """one - other from their 95% intervals alone; None without intervals."""
    if one.value is None or other.value is None:
        return None
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    noise = FromIntervals(
        value=one.value - other.value,
        below=math.hypot(one.value - one.low, other.high - other.value),
        above=math.hypot(one.high - one.value, other.value - other.low),
    )
    low, high = noise.interval()
    return Difference(
        value=noise.value,
        low=low,
        high=high,
        p_value=noise.p_value(),
        standard_error=noise.standard_error,
        detectable=detectable_difference(noise.standard_error, math.inf),
        noise=noise,
    )
