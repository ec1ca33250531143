"""What to do something about: warnings by severity, each with the transform that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, structs

from clary.expressions import col, fn
from clary.flows.exports.python import call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.flows.insights.columns import Column
    from clary.flows.insights.report import Report
    from clary.flows.insights.target import Power, QuickModel, Target

Severity = Literal["high", "medium", "low"]
LEAKY: Final = 0.95
_MISSING, _MOST_MISSING = 0.05, 0.5
_VALID = 0.999
_DUPLICATES = 0.01
_ANOMALIES = 0.01
_RARE = 10
_RARE_SHARE = 0.01
_SKEWED = 3.0
_OUTLIERS = 0.01
_IDENTIFYING = 0.98
_FEW = 10
_PLACEHOLDERS: Final = frozenset(
    (
        "",
        "?",
        "-",
        "--",
        ".",
        "n/a",
        "na",
        "nan",
        "none",
        "null",
        "nil",
        "missing",
        "unknown",
        "#n/a",
    )
)
_CODES: Final = frozenset(("-1", "-9", "-99", "-999", "-9999", "99", "999", "9999", "99999"))
_TYPES: Final = {"Integral": "long", "Fractional": "float", "Boolean": "boolean"}
_ORDER: Final = ("high", "medium", "low")


class QualityWarning(Struct, frozen=True):
    """Something that may spoil a model.

    Parameters
    ----------
    code
        What it is, such as ``target_leakage``.
    column
        Which column; empty: the whole table.
    message
        A sentence with the numbers.
    operator, parameters
        The transform that does something about it, as ``Flow.then`` takes it; empty where that is
        for people to decide.
    """

    severity: Severity
    code: str
    column: str
    message: str
    operator: str = ""
    parameters: dict[str, Any] = {}

    @property
    def step(self) -> str:
        """The same as Python has it, such as ``.drop("id")``; empty where there is none."""
        return f".{call(self.operator, self.parameters)}" if self.operator else ""


def warn(told: Report) -> tuple[QualityWarning, ...]:
    """Find what to warn of, the worst first."""
    aim = told.target.column if told.target is not None else None
    found = [
        *_of_table(told.rows, told.duplicates, told.anomalies.share),
        *(x for one in told.columns if one.name != aim for x in _of_column(one, told.rows)),
    ]
    if told.target is not None:
        its = next(one for one in told.columns if one.name == told.target.column)
        found += [
            *(_left_alone(one) for one in _of_column(its, told.rows) if one.code != "missing"),
            *_of_target(told.target, its),
            *_of_powers(told.powers),
            *_of_model(told.quick_model),
        ]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.severity)))


def _left_alone(one: QualityWarning) -> QualityWarning:
    """Advise nothing: what is wrong with a target is not mended by another target."""
    return structs.replace(one, operator="", parameters={})


def _of_table(rows: int, duplicates: int, anomalous: float) -> Iterator[QualityWarning]:
    if duplicates > _DUPLICATES * rows:
        text = f"{duplicates:,} of {rows:,} rows ({duplicates / rows:.1%}) are there more than once"
        yield QualityWarning("medium", "duplicate_rows", "", text, "rows.drop_duplicates")
    if anomalous > _ANOMALIES:
        text = f"about {anomalous:.1%} of the rows are unlike the others"
        yield QualityWarning("low", "anomalous_rows", "", text)


def _of_column(one: Column, rows: int) -> Iterator[QualityWarning]:
    if one.kind == "empty":
        text = f"{one.name} has no values"
        yield QualityWarning(
            "medium", "constant", one.name, text, "columns.drop", {"columns": [one.name]}
        )
        return
    if one.distinct == 1 and rows > 1:
        text = f"{one.name} has one value in all rows that have one: {one.top[0][0]!r:.60}"
        yield QualityWarning(
            "medium", "constant", one.name, text, "columns.drop", {"columns": [one.name]}
        )
    if one.missing > _MISSING:
        much = one.missing > _MOST_MISSING
        text = f"{one.missing:.1%} of {one.name} are missing"
        operator, parameters = ("columns.drop", {}) if much else _completed(one)
        yield QualityWarning(
            "medium" if much else "low",
            "missing",
            one.name,
            text,
            operator,
            {"columns": [one.name], **parameters},
        )
    if one.valid < _VALID:
        text = f"{1 - one.valid:.2%} of the values of {one.name} are not {one.main_type.lower()}"
        to = _TYPES.get(one.main_type)
        does = ("parse.cast", {"columns": [one.name], "to": to}) if to else ("", {})
        yield QualityWarning("medium", "mixed_types", one.name, text, *does)
    yield from _disguised(one, rows)
    yield from _of_kind(one, rows)


def _completed(one: Column) -> tuple[str, dict[str, str]]:
    """Say how to deal with missing values: texts have no mean, lists not even what is usual."""
    if one.kind == "nested":
        return "missing.indicator", {}
    return "missing.impute", {} if one.kind == "numeric" else {"strategy": "mode"}


def _disguised(one: Column, rows: int) -> Iterator[QualityWarning]:
    for value, count in one.top:
        is_word = one.kind in ("text", "categorical") and value.strip().lower() in _PLACEHOLDERS
        if is_word or _is_code(one, value, count / rows):
            text = f"{value!r} stands in {count / rows:.1%} of the rows of {one.name}"
            text += " and may mean that the value is missing"
            formula = str(fn("nullif", col(one.name), _held(one, value)))
            yield QualityWarning(
                "medium",
                "disguised_missing",
                one.name,
                text,
                "columns.formula",
                {"formula": formula, "output": one.name},
            )


def _held(one: Column, value: str) -> str | int | float:
    """Give a value as the column holds it."""
    if one.numbers is None:
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _is_code(one: Column, value: str, share: float) -> bool:
    """Tell whether a number such as -999 is far from all others, and there more than once."""
    if one.numbers is None or value.removesuffix(".0") not in _CODES or share < _RARE_SHARE:
        return False
    first, _, last = one.numbers.quartiles
    reach = max(last - first, 1e-9)
    return not first - 3 * reach <= float(value) <= last + 3 * reach


def _of_kind(one: Column, rows: int) -> Iterator[QualityWarning]:
    present = rows * (1 - one.missing)
    if one.kind in ("categorical", "text") and one.distinct > _IDENTIFYING * present > _RARE:
        text = f"{one.name} has another value in nearly every row: there is little to learn from"
        yield QualityWarning(
            "low", "high_cardinality", one.name, text, "columns.drop", {"columns": [one.name]}
        )
    numbers, named = one.numbers, {"columns": [one.name]}
    if numbers is None:
        return
    if numbers.infinite:
        text = f"{numbers.infinite:,} values of {one.name} are infinite"
        yield QualityWarning("medium", "infinite", one.name, text, "outliers.quantile", named)
    if one.distinct > _IDENTIFYING * present > _RARE and _is_counter(one, present):
        text = f"{one.name} numbers the rows, as an identifier does: there is nothing to learn from"
        yield QualityWarning("low", "identifier", one.name, text, "columns.drop", named)
    elif numbers.outliers > _OUTLIERS and one.distinct > _FEW:
        text = f"{numbers.outliers:.1%} of {one.name} are far from the quartiles"
        yield QualityWarning("low", "outliers", one.name, text, "outliers.quantile", named)


def _is_counter(one: Column, present: float) -> bool:
    """Tell whether different whole numbers stand close together, as those that count rows do."""
    its = one.numbers
    return (
        its is not None and one.main_type == "Integral" and its.maximum - its.minimum < 2 * present
    )


def _of_target(target: Target, its: Column) -> Iterator[QualityWarning]:
    if its.missing:
        text = f"{its.missing:.1%} of the rows have no {target.column}; they teach nothing"
        yield QualityWarning(
            "high",
            "missing_target",
            target.column,
            text,
            "missing.drop",
            {"columns": [target.column]},
        )
    if target.problem == "regression":
        if its.numbers is not None and abs(its.numbers.skewness) > _SKEWED:
            text = f"{target.column} is skewed ({its.numbers.skewness:.1f}): few rows weigh most"
            does = _straightened(target.column) if its.numbers.skewness > 0 else ("", {})
            yield QualityWarning("medium", "skewed_target", target.column, text, *does)
        return
    whole = sum(count for _, count in target.classes)
    for name, count in target.classes:
        if count < _RARE or count < _RARE_SHARE * whole:
            text = f"the label {name!r:.60} has {count} of {whole:,} rows looked at"
            yield QualityWarning(
                "high",
                "rare_label",
                target.column,
                text,
                "balance.oversample",
                {"column": target.column},
            )


def _straightened(name: str) -> tuple[str, dict[str, str]]:
    """Take logarithms, of both signs; what a model then tells has to be turned back."""
    value = col(name).cast("double")
    formula = fn("sign", value) * fn("ln", fn("abs", value) + 1)
    return "columns.formula", {"formula": str(formula), "output": name}


def _of_powers(powers: Sequence[Power]) -> Iterator[QualityWarning]:
    for one in powers:
        if one.power >= LEAKY:
            text = f"{one.column} alone tells the target nearly always (power {one.power:.2f}):"
            text += " it may be known only after the target"
            yield QualityWarning(
                "high",
                "target_leakage",
                one.column,
                text,
                "columns.drop",
                {"columns": [one.column]},
            )


def _of_model(model: QuickModel | None) -> Iterator[QualityWarning]:
    if model is None:
        return
    better = model.score > model.guessing if model.metric == "F1" else model.score < model.guessing
    if not better:
        text = f"a quick model is no better than guessing ({model.metric} {model.score:.3g}"
        yield QualityWarning("medium", "no_signal", "", f"{text} against {model.guessing:.3g})")
