"""Whether a difference may be chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.analysis.samples import Floats


def kolmogorov_smirnov_p(statistic: float, n: float, m: float) -> float:
    """Chance of a greatest difference of distribution functions of at least ``statistic``.

    Of two samples of one continuous distribution, with n and m rows; of a discrete one the chance
    is smaller. Kolmogorov's limit with Vrbik's correction for finite samples, within 0.003 of
    ``scipy.stats.ks_2samp(method="asymp")`` from 20 rows on.
    """
    rows = n * m / (n + m)
    scaled = math.sqrt(rows) * statistic
    corrected = scaled + 1 / (6 * math.sqrt(rows)) + (scaled - 1) / (4 * rows)
    return float(special.kolmogorov(max(0.0, corrected))) if statistic else 1.0


def chi_squared_p(statistic: float, freedom: int) -> float:
    """Chance of Pearson's statistic of at least ``statistic``; 1 without degrees of freedom."""
    return float(special.chdtrc(freedom, statistic)) if freedom else 1.0


def shares_p(a: Floats, b: Floats, n: float, m: float) -> Floats:
    """Chances that parts a of n rows and b of m rows are of one share, each pair by itself.

    The exact test given a + b; two-sided by doubling.
    """
    both = np.rint(a + b).astype(np.int64)
    share = n / (n + m)
    low = special.bdtr(a, both, share)
    high = special.bdtrc(a - 1, both, share)
    high = np.where(a < 1, 1.0, high)
    found: Floats = np.minimum(1.0, 2 * np.minimum(low, high))
    return found


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of many tests by Benjamini and Hochberg, in the order given.

    Of what is reported below a level q, a share of q is expected to be chance; where nothing has
    changed, anything is reported at all with a chance of q.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    scaled = p[order] * p.size / np.arange(p.size, 0, -1)
    found = np.empty(p.size)
    found[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return [float(one) for one in found]
