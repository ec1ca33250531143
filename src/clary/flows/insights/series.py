"""Time series: what is trend, what comes back each period, and what is neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_POINTS = 20_000
_ROUNDS = 3
_SPREADS = 3.0
_NORMAL = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


class Decomposition(Struct, frozen=True):
    """A series as the sum of its parts.

    Parameters
    ----------
    times
        Seconds since 1970 where they are times, in order; a time that comes twice has its mean.
    period
        After how many points the seasonal part comes back; 1: there is none.
    anomalies
        The places whose remainder is over three robust standard deviations.
    """

    times: tuple[float, ...]
    observed: tuple[float, ...]
    trend: tuple[float, ...]
    seasonal: tuple[float, ...]
    remainder: tuple[float, ...]
    period: int
    anomalies: tuple[int, ...]


def decompose(times: Floats, values: Floats, period: int = 0) -> Decomposition:
    """Decompose a series into trend, seasonal part and remainder, as STL does with a fixed season.

    The trend is a loess of 1.5 periods, the season the mean of what is left at each place of the
    period; both are found again three times with bisquare weights, so that outliers do not bend
    them (Cleveland et al., 1990, with a periodic seasonal part). Points count as equally far apart.

    Parameters
    ----------
    period
        0 for the lag of the highest autocorrelation after the first valley.

    Raises
    ------
    InvalidInput
        There are fewer than eight points, or fewer than two periods.
    LimitExceeded
        There are over 20,000 points.
    """
    known = np.isfinite(times) & np.isfinite(values)
    order, places = np.unique(times[known], return_inverse=True)
    if len(order) < 8:
        raise InvalidInput("time", f"there are {len(order)} points in time", legal="8 or more")
    if len(order) > MOST_POINTS:
        raise LimitExceeded(
            f"there are {len(order)} points in time; at most {MOST_POINTS}: resample"
        )
    observed = np.bincount(places, values[known]) / np.bincount(places)
    period = period or find_period(observed)
    if not 1 <= period <= len(order) // 2:
        legal = f"1 to {len(order) // 2}: two whole periods"
        raise InvalidInput("period", f"{period} of {len(order)} points", legal=legal)
    trend, seasonal = _parts(observed, period)
    rest = observed - trend - seasonal
    spread = _NORMAL * float(np.median(np.abs(rest - np.median(rest))))
    least = max(_SPREADS * spread, 1e-9 * float(np.abs(observed).max()))
    odd = np.flatnonzero(np.abs(rest - np.median(rest)) > least)
    return Decomposition(
        _told(order),
        _told(observed),
        _told(trend),
        _told(seasonal),
        _told(rest),
        period,
        tuple(map(int, odd)),
    )


def _told(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))


def _parts(observed: Floats, period: int) -> tuple[Floats, Floats]:
    weights, seasonal = np.ones(len(observed)), np.zeros(len(observed))
    wide = max(7, int(1.5 * period) | 1)
    trend = loess(observed, wide, weights)
    for _ in range(_ROUNDS):
        seasonal = _season(observed - trend, period, weights)
        trend = loess(observed - seasonal, wide, weights)
        rest = np.abs(observed - trend - seasonal)
        bound = 6 * float(np.median(rest)) or 1.0
        weights = np.clip(1 - (rest / bound) ** 2, 0, None) ** 2
    return trend, seasonal


def _season(values: Floats, period: int, weights: Floats) -> Floats:
    if period == 1:
        return np.zeros(len(values))
    places = np.arange(len(values)) % period
    held = np.maximum(weights, 1e-9)
    means = np.bincount(places, values * held) / np.bincount(places, held)
    seasons: Floats = (means - means.mean())[places]
    return seasons


def loess(values: Floats, wide: int, weights: Floats) -> Floats:
    """Smooth a series of equal steps by local lines over ``wide`` neighbours, tricube weights."""
    count = len(values)
    wide = min(wide, count)
    at = np.arange(count)
    first = np.clip(at - wide // 2, 0, count - wide)
    places = first[:, None] + np.arange(wide)[None, :]
    apart = (places - at[:, None]).astype(float)
    reach = np.abs(apart).max(1, keepdims=True) + 1
    held = (1 - np.abs(apart / reach) ** 3) ** 3 * np.maximum(weights[places], 1e-9)
    whole = held.sum(1)
    middle = (held * apart).sum(1) / whole
    level = (held * values[places]).sum(1) / whole
    off = apart - middle[:, None]
    slope = (held * off * values[places]).sum(1) / np.maximum((held * off * off).sum(1), 1e-12)
    smooth: Floats = level - slope * middle
    return smooth


def find_period(values: Floats) -> int:
    """Find after how many points a series comes back; 1 where it does not."""
    count = len(values)
    line = np.polyval(np.polyfit(np.arange(count), values, 1), np.arange(count))
    apart = values - line
    power = np.abs(np.fft.rfft(apart, 2 * count)) ** 2
    whole = np.fft.irfft(power)[: count // 2 + 1]
    if whole[0] <= 1e-12 * max(1.0, float(np.abs(values).max()) ** 2):  # a line
        return 1
    like = whole / whole[0]
    below = np.flatnonzero(like < 0)
    if not len(below):
        return 1
    after = like[below[0] :]
    best = int(np.argmax(after))
    return int(below[0]) + best if after[best] > 2 / np.sqrt(count) else 1
