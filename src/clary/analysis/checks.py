"""Whether a profile fulfils constraints, and what it is where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis import distances
from clary.analysis.constraints import Drift
from clary.analysis.profiles import ColumnProfile, Profile
from clary.analysis.samples import Categories, Numbers, of_column
from clary.analysis.significance import chi_squared_p
from clary.analysis.violations import Violation
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from clary.analysis.constraints import Constraints, Feature, Settings
    from clary.analysis.drift import ColumnDrift
    from clary.analysis.samples import Sample


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one feature; a share or distance is None where there is none.

    Parameters
    ----------
    feature, settings
        Its constraints.
    column
        Its profile.
    type_share
        The share of values that have the expected type.
    domain_share
        The share of values that are in the domain.
    non_negative_share
        The share of values that are not negative, where they must not be.
    distance
        To the baseline's distribution, by the method of the settings; of ``ChiSquared`` the
        p-value.
    is_of_numbers
        Whether numbers are compared, and not categories.
    """

    feature: Feature
    settings: Settings
    column: ColumnProfile
    type_share: float | None = None
    domain_share: float | None = None
    non_negative_share: float | None = None
    distance: float | None = None
    is_of_numbers: bool = True

    @property
    def has_drifted(self) -> bool:
        """Whether the distance exceeds what is allowed."""
        if self.distance is None:
            return False
        if self.is_p_value:
            return self.distance < self.settings.categorical
        return self.distance > self.threshold

    @property
    def threshold(self) -> float:
        """The distance that is just allowed."""
        return self.settings.numeric if self.is_of_numbers else self.settings.categorical

    @property
    def is_p_value(self) -> bool:
        """Whether ``distance`` is a p-value."""
        return self.settings.categorical_method == "ChiSquared" and not self.is_of_numbers


def observe(
    profile: Profile,
    constraints: Constraints,
    baseline: Mapping[str, Sample],
    *,
    is_deequ: bool = False,
) -> tuple[Observation, ...]:
    """Look at every feature that has constraints and is there, in the constraints' order.

    Parameters
    ----------
    profile
        Of the rows to check.
    constraints
        What they have to fulfil.
    baseline
        The distributions to compare with; a feature without one is not compared.
    is_deequ
        Measure drift of numbers as Deequ 2.0 does, which never sees any in columns of few values.
    """
    columns = profile.by_name
    return tuple(
        _observation(
            feature,
            constraints,
            columns[feature.name],
            baseline,
            is_deequ=is_deequ,
        )
        for feature in constraints.features
        if feature.name in columns
    )


def _observation(
    feature: Feature,
    constraints: Constraints,
    column: ColumnProfile,
    baseline: Mapping[str, Sample],
    *,
    is_deequ: bool,
) -> Observation:
    settings = constraints.settings(feature)
    before = baseline.get(feature.name)
    now = of_column(column, before)
    distance = None
    if settings.compares and before is not None and now is not None:
        distance = _distance(settings, before, now, is_deequ=is_deequ)
    return Observation(
        feature=feature,
        settings=settings,
        column=column,
        type_share=_type_share(column, feature.inferred_type),
        domain_share=_domain_share(column, feature),
        non_negative_share=_non_negative_share(column, feature),
        distance=distance,
        is_of_numbers=isinstance(now, Numbers),
    )


def _type_share(column: ColumnProfile, expected: str) -> float | None:
    """Say what share has the expected type; integers are fractional, too.

    A text column may hold numbers, but not numbers alone.
    """
    if not column.present or expected == "Unknown":
        return None
    types = column.types
    if expected == "String":
        return 0.0 if column.is_numeric else 1.0
    fitting = types.integral + (types.fractional if expected == "Fractional" else 0)
    return fitting / types.total


def _domain_share(column: ColumnProfile, feature: Feature) -> float | None:
    strings = feature.string_constraints
    if strings is None or strings.domains is None or not column.present:
        return None
    known = column.frequencies.by_text()
    error = column.frequencies.error
    inside = sum(known[one] + error for one in set(strings.domains) if one in known)
    return min(1.0, inside / column.present)


def _non_negative_share(column: ColumnProfile, feature: Feature) -> float | None:
    numbers = feature.num_constraints
    if numbers is None or not numbers.is_non_negative or not column.is_numeric:
        return None
    seen = column.numbers
    if seen.minimum >= 0 and not seen.negative_infinities:
        return 1.0
    negative = int(column.sketch.ranks([0.0], is_inclusive=False)[0]) + seen.negative_infinities
    return 1 - max(1, negative) / column.present


def _distance(settings: Settings, before: Sample, now: Sample, *, is_deequ: bool) -> float | None:
    match before, now:
        case Numbers(), Numbers() if is_deequ and before.sketch and now.sketch:
            sketches = before.sketch.levels, now.sketch.levels
            simple, n, m = distances.deequ_kolmogorov_smirnov(*sketches)
        case Numbers(), Numbers():
            simple, n, m = distances.kolmogorov_smirnov(before, now), before.rows, now.rows
        case Categories(), Categories() if settings.categorical_method == "ChiSquared":
            return chi_squared_p(*distances.chi_squared(*distances.aligned(before, now)))
        case Categories(), Categories():
            simple, n, m = distances.l_infinity(before, now), before.rows, now.rows
        case _:
            return None
    return distances.robust(simple, n, m) if settings.method == "Robust" else simple


def violated(observed: Iterable[Observation]) -> Iterator[Violation]:
    """List the constraints that features do not fulfil."""
    for one in observed:
        if one.settings.evaluates:
            yield from _violated(one)


def _violated(one: Observation) -> Iterator[Violation]:
    feature, settings = one.feature, one.settings
    if one.type_share is not None and one.type_share < settings.datatype:
        yield _violation(
            feature.name,
            "data_type_check",
            "Data type match requirement is not met. Expected data type: "
            f"{feature.inferred_type}, Expected match: {settings.datatype * 100}%. "
            f"Observed: Only {one.type_share * 100}% of data is {feature.inferred_type}.",
            {"observed": one.type_share, "required": settings.datatype},
        )
    shares = (
        ("completeness_check", one.column.completeness, feature.completeness),
        ("categorical_values_check", one.domain_share, settings.domain),
        ("non_negative_check", one.non_negative_share, 1.0),
    )
    for name, observed, required in shares:
        if observed is not None and required is not None and observed < required:
            said = f"Value: {observed} does not meet the constraint requirement! "
            yield _violation(feature.name, name, said, {"observed": observed, "required": required})
    if one.has_drifted:
        yield _drifted(one)


def _drifted(one: Observation) -> Violation:
    said = f"Baseline drift distance: {one.distance} exceeds threshold: {one.threshold}"
    if one.is_p_value:
        said = f"Baseline drift p-value: {one.distance} is below threshold: {one.threshold}"
    return _violation(
        one.feature.name,
        "baseline_drift_check",
        said,
        {"observed": one.distance, "required": one.threshold},
    )


def _violation(feature: str, check_type: str, said: str, values: dict[str, Any]) -> Violation:
    return Violation(
        feature_name=feature, constraint_check_type=check_type, description=said, clary=values
    )


def columns_off(profile: Profile, constraints: Constraints) -> Iterator[Violation]:
    """Say which columns are missing and which are extra: a violation each, for all of them."""
    if not constraints.settings().evaluates:
        return
    there, expected = list(profile.by_name), [one.name for one in constraints.features]
    counts = (
        f"Number of columns in current dataset: {len(there)}, "
        f"Number of columns in baseline constraints: {len(expected)}"
    )
    for word, of, among in (("missing", expected, there), ("extra", there, expected)):
        names = [name for name in of if name not in set(among)]
        if names:
            yield _violation(
                f"{word.capitalize()} columns",
                f"{word}_column_check",
                f"There are {word} columns in current dataset. {counts}",
                {"columns": names},
            )


def drifted(found: Sequence[ColumnDrift], constraints: Constraints) -> Iterator[Violation]:
    """List the significant drifts beyond the thresholds of the ``clary`` block, one a metric."""
    settings = constraints.clary.drift if constraints.clary else Drift()
    for one in found:
        for name, threshold in settings.thresholds.items():
            value = one.metrics.get(name)
            if one.is_significant and value is not None and value > threshold:
                yield _violation(
                    one.name,
                    "baseline_drift_check",
                    f"Baseline drift distance: {value} exceeds threshold: {threshold}",
                    {"metric": name, "observed": value, "required": threshold},
                )


def named(profile: Profile, constraints: Constraints) -> Profile:
    """Give columns without names those of the constraints, by their places.

    Captured CSV has no names (``_c0``, …), and a preprocessor may number its cells, while a
    baseline may have been read from a file with a header.

    Raises
    ------
    InvalidInput
        The constraints name no features.
    """
    if not constraints.features:
        raise InvalidInput("baseline_constraints", "names no features")
    there = [column.name for column in profile.columns]
    names = names_of(there, constraints)
    if names == there:
        return profile
    columns = (_renamed(one, name) for one, name in zip(profile.columns, names, strict=True))
    held = profile.correlations
    renamed = held.renamed(dict(zip(there, names, strict=True))) if held else None
    return Profile(profile.rows, tuple(columns), renamed)


def names_of(there: Sequence[str], constraints: Constraints) -> list[str]:
    """Say what columns are called by the constraints, as ``named`` does."""
    names = [feature.name for feature in constraints.features]
    if not _are_places(there) or set(there) & set(names):
        return list(there)
    return [*names[: len(there)], *there[len(names) :]]


def without(
    profile: Profile, constraints: Constraints, excluded: Collection[str]
) -> tuple[Profile, Constraints]:
    """Leave columns out of a check, by their names or their places (``_c0``, …)."""
    names = [column.name for column in profile.columns]
    places = {f"_c{place}": name for place, name in enumerate(names)}
    gone = {one if one in names else places.get(one, one) for one in excluded}
    columns = tuple(one for one in profile.columns if one.name not in gone)
    features = tuple(one for one in constraints.features if one.name not in gone)
    kept = msgspec.structs.replace(constraints, features=features)
    return Profile(profile.rows, columns, profile.correlations), kept


def _are_places(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names) or list(names) == [
        f"_c{place}" for place in range(len(names))
    ]


def _renamed(column: ColumnProfile, name: str) -> ColumnProfile:
    return ColumnProfile(
        name,
        column.missing,
        column.types,
        column.numbers,
        column.sketch,
        column.distinct,
        column.frequencies,
    )
