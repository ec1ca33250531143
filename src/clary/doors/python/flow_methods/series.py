# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``series``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, Self


class Series(Chain):
    """Transforms of this group."""

    def series_features(
        self, time: str, columns: Sequence[str], *, keys: Sequence[str] = ()
    ) -> Self:
        """Make a row of each series: what is telling of its columns of numbers.

        They are ``column_count``, ``_mean``, ``_std``, ``_min``, ``_max``, ``_median``, ``_sum``,
        ``_first`` and ``_last``, ``_slope`` (per second) and ``_r2`` of the line through it,
        ``_mean_change`` and ``_mean_abs_change`` from row to row, and ``_autocorrelation`` at one row.
        Missing numbers and NaN are left out.
        """
        return self._then(
            "series.extract_features", {"time": time, "keys": keys, "columns": columns}
        )

    def fill_series(
        self,
        time: str,
        columns: Sequence[str],
        *,
        keys: Sequence[str] = (),
        how: Literal["forward", "backward", "interpolate"] = "forward",
    ) -> Self:
        """Fill what is missing, NaN too, from its neighbours in the series.

        Parameters
        ----------
        how
            ``forward``: the last before; ``backward``: the next; ``interpolate``: on the line between
            the two, by time, which makes numbers ``double``; ends stay missing.
        """
        return self._then(
            "series.fill", {"time": time, "keys": keys, "columns": columns, "how": how}
        )

    def gather(self, time: str, *, keys: Sequence[str] = ()) -> Self:
        """Make a row of each series: its keys, and lists of all else in the order of the time."""
        return self._then("series.gather", {"time": time, "keys": keys})

    def lag(
        self,
        time: str,
        columns: Sequence[str],
        *,
        keys: Sequence[str] = (),
        lags: Sequence[int] = (1,),
    ) -> Self:
        """Add what columns were so many rows before in the series: ``column_lag_1``."""
        return self._then(
            "series.lag", {"time": time, "keys": keys, "columns": columns, "lags": lags}
        )

    def time_range(
        self,
        output: str,
        start: str,
        *,
        unit: Literal[
            "second", "minute", "hour", "day", "week", "month", "quarter", "year"
        ] = "day",
        every: int = 1,
        keys: Sequence[str] = (),
    ) -> Self:
        """Add a column of times at even distances, in the order of the rows.

        Parameters
        ----------
        output
            Its name.
        start
            The first time, as ISO 8601 writes it.
        keys
            Begin anew for each combination of these.
        """
        return self._then(
            "series.range",
            {"output": output, "start": start, "unit": unit, "every": every, "keys": keys},
        )

    def resample(
        self,
        time: str,
        unit: Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"],
        aggregates: Mapping[str, str],
        *,
        keys: Sequence[str] = (),
        every: int = 1,
        fills_gaps: bool = True,
        zone: str = "UTC",
    ) -> Self:
        """Bring series to even times: one row a series and interval, called by its beginning.

        Parameters
        ----------
        every, unit
            The length of an interval. Days and longer ones begin at midnight in the zone, weeks on
            Mondays.
        aggregates
            A function a column: count, sum, mean, min, max, median, std, var, or first, last.
        fills_gaps
            Make rows of intervals without any, between the first and the last of a series; their
            columns are missing. There are at most 100,000,000 rows then.
        zone
            Whose midnights count for a ``timestamptz``.
        """
        return self._then(
            "series.resample",
            {
                "time": time,
                "keys": keys,
                "unit": unit,
                "aggregates": aggregates,
                "every": every,
                "fills_gaps": fills_gaps,
                "zone": zone,
            },
        )

    def rolling(
        self,
        time: str,
        columns: Sequence[str],
        *,
        keys: Sequence[str] = (),
        functions: Sequence[str] = ("mean",),
        size: int = 3,
        unit: Literal["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
        | None = None,
    ) -> Self:
        """Add aggregates over the rows up to each: ``column_mean_3``, of three rows with its own.

        Parameters
        ----------
        functions
            count, sum, mean, min, max, median, std or var; of the values that are not missing.
        size
            How many rows, or, with ``unit``, how long before each: ``column_mean_3_day``, without
            what is just so long ago.
        """
        return self._then(
            "series.rolling",
            {
                "time": time,
                "keys": keys,
                "columns": columns,
                "functions": functions,
                "size": size,
                "unit": unit,
            },
        )

    def standardize_length(
        self,
        *columns: str,
        length: Literal["shortest", "longest", "mean", "median"] | int = "longest",
        fill: float | None = None,
    ) -> Self:
        """Bring lists to one length: longer ones lose their end, shorter ones get a value.

        Parameters
        ----------
        length
            ``shortest``, ``longest``, ``mean`` or ``median`` of all, learned and rounded up, or a
            number; at most 200.
        fill
            What is put at the end of lists of numbers; else, and for others, what is missing.
        """
        return self._then(
            "series.standardize_length", {"columns": columns, "length": length, "fill": fill}
        )

    def validate_times(
        self, time: str, *, keys: Sequence[str] = (), policy: Literal["drop", "flag"] = "drop"
    ) -> Self:
        """Find rows whose time is missing, or one that their series has already.

        Parameters
        ----------
        policy
            ``drop`` them, or ``flag`` all in a column ``time_is_valid``.
        """
        return self._then("series.validate_times", {"time": time, "keys": keys, "policy": policy})
