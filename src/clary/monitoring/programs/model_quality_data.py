"""What a job of model quality reads: a data set that has its labels in a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis.outcomes import Outcomes
from clary.analysis.tables import name, open_table
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.settings import DatasetFormat, placed

if TYPE_CHECKING:
    from pathlib import Path

    from clary.analysis.attributes import Attribute
    from clary.analysis.tables import Table
    from clary.monitoring.programs.model_quality_settings import Settings

_MOST_ROWS = 50_000
_MOST_CELLS = 5_000_000
_COLUMNS = {
    "inference_attribute": "predictions",
    "probability_attribute": "probabilities",
    "ground_truth_attribute": "labels",
}


@dataclass(slots=True)
class Answers:
    """Answers in columns, lists or arrays; those that no attribute names are None.

    Parameters
    ----------
    inputs
        What the model was asked, by the column's name.
    """

    predictions: Any = None
    probabilities: Any = None
    labels: Any = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)

    def outcomes(self) -> Outcomes:
        """Put labels and answers side by side."""
        return Outcomes(self.labels, self.predictions, self.probabilities)


@dataclass(slots=True)
class Data:
    """What was read.

    Parameters
    ----------
    labelled
        Answers whose labels are known.
    sample
        Of a data set: some of the labelled rows, with their inputs.
    unlabelled
        Of live data: answers whose labels are not there yet.
    merged
        How requests and labels found each other, for the ``clary`` block.
    """

    labelled: Answers = field(default_factory=Answers)
    sample: Answers = field(default_factory=Answers)
    unlabelled: Answers = field(default_factory=Answers)
    merged: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many answers there are, with labels or without."""
        both = (self.labelled, self.unlabelled)
        return sum(len(one.predictions or one.probabilities or ()) for one in both)


def read_dataset(given: Settings, ml: Path) -> Data:
    """Read answers and labels of a data set, and a sample of its rows.

    Raises
    ------
    InvalidInput
        An attribute names no column, or the data set cannot be read.
    """
    places = {which: given.place(which) for which in _COLUMNS}
    if places["ground_truth_attribute"] is None:
        raise InvalidInput("ground_truth_attribute", "is missing; it names the column of labels")
    source, shape = placed(given.dataset_source, ml), given.format or DatasetFormat("csv")
    with open_table(source, format=shape.format, header=shape.header) as table:
        chosen = {_COLUMNS[one]: _column(table, at, one) for one, at in places.items() if at}
        others = [one for one in table.columns if one not in chosen.values()]
        labelled = Answers(**_values(table, chosen, ""))
        inputs = {f"input {place}": one for place, one in enumerate(others)}
        rows = most_rows(len(inputs))
        sample = f"USING SAMPLE reservoir({rows} ROWS) REPEATABLE (7)"
        sampled = _values(table, chosen | inputs, sample)
    answers = Answers(**{one: sampled[one] for one in chosen})
    answers.inputs = {one: sampled[key] for key, one in inputs.items()}
    return Data(labelled, answers)


def most_rows(columns: int) -> int:
    """Say how many rows estimates are learned from and made of; of more a sample is taken."""
    return min(_MOST_ROWS, _MOST_CELLS // max(1, columns))


def _column(table: Table, place: Attribute, which: str) -> str:
    index = place.index
    if index is not None and str(index) not in table.columns and index < len(table.columns):
        return table.columns[index]
    path = ".".join(str(step) for step in place.steps)
    if path not in table.columns:
        legal = ", ".join(table.columns[:50]) + (", …" if len(table.columns) > 50 else "")
        raise InvalidInput(which, f"{place.text!r} names no column of the data set", legal=legal)
    return path


def _values(table: Table, columns: dict[str, str], sample: str) -> dict[str, Any]:
    chosen = ", ".join(f"{name(column)} AS {name(key)}" for key, column in columns.items())
    found = table.sql(f"SELECT {chosen} FROM dataset {sample}").fetchnumpy()
    return {key: _plain(column) for key, column in found.items()}


def _plain(column: Any) -> Any:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    values = np.asarray(column.data, dtype=object)
    values[np.ma.getmaskarray(column)] = None
    return values
