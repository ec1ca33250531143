"""Columns from elsewhere beside a dataset: facets and predictions in files, a model's answers."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb

from clary.analysis.bias_columns import name
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.clarify_dataset import load_csv, names_of, unreadable
from clary.monitoring.programs.predictor import download, endpoint, prediction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.monitoring.programs.clarify_config import AnalysisConfig
    from clary.monitoring.programs.clarify_dataset import Dataset

_ROWS = 10_000
_PREDICTIONS = "predictions"


def complete(dataset: Dataset, config: AnalysisConfig) -> Dataset:
    """Put the files of facets and of predictions beside a dataset, where the settings name them.

    Raises
    ------
    InvalidInput
        They have not the dataset's rows.
    """
    if config.facet_dataset_uri:
        named = [one.name_or_index for one in config.facet]
        dataset = _beside(
            dataset, "facets", config.facet_dataset_uri, (config.facet_headers, named)
        )
    if config.predicted_label_dataset_uri:
        headers = (config.predicted_label_headers, [config.predicted_label])
        dataset = _beside(dataset, _PREDICTIONS, config.predicted_label_dataset_uri, headers)
        place = config.predicted_label
        if isinstance(place, int) or str(place).isdigit():
            others = [one for one in dataset.added if one != dataset.join]
            place = others[int(place or 0)] if int(place or 0) < len(others) else str(place)
        found = dataset.added[-1] if place is None else place
        dataset = replace(dataset, prediction=dataset.column(found, field="predicted_label"))
    return dataset


def _beside(
    dataset: Dataset, table: str, uri: str, headed: tuple[Sequence[str] | None, Sequence[Any]]
) -> Dataset:
    headers, named = headed
    files = download(uri, dataset.scratch / table)
    known = [one for one in named if isinstance(one, str)]
    try:
        load_csv(dataset.connection, table, [str(one) for one in files], headers, known)
    except duckdb.Error as error:
        raise unreadable(error, uri) from error
    return _joined(dataset, table)


def _joined(dataset: Dataset, table: str) -> Dataset:
    """Join by the identifier where both have it, else row by row; rows keep their order."""
    connection, join = dataset.connection, dataset.join
    found = names_of(connection, table)
    new = [one for one in found if one != join]
    if twice := sorted(set(new) & set(dataset.columns)):
        raise InvalidInput(table, f"has columns that the dataset has too: {', '.join(twice)}")
    view = f"with_{table}"
    if join and join in found:
        _check_unique(dataset, table)
        listed = ", ".join(f"{name(table)}.{name(one)}" for one in new)
        connection.execute(
            f"CREATE TABLE {view} AS SELECT given.* EXCLUDE (row_place), {listed} FROM "
            f"(SELECT *, row_number() OVER () AS row_place FROM {dataset.table}) AS given "
            f"LEFT JOIN {name(table)} USING ({name(join)}) ORDER BY row_place"
        )
    else:
        _check_rows(dataset, table)
        together = f"{dataset.table} POSITIONAL JOIN {name(table)}"
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {together}")
    columns = [*dataset.columns, *new]
    return replace(dataset, table=view, columns=columns, added=[*dataset.added, *new])


def _check_unique(dataset: Dataset, table: str) -> None:
    """Refuse identifiers that are of several rows: a row would count more than once."""
    join = name(dataset.join)
    twice = dataset.connection.execute(
        f"SELECT {join} FROM {name(table)} GROUP BY 1 HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice:
        raise InvalidInput(table, f"has several rows whose {dataset.join!r} is {twice[0]!r}")


def _check_rows(dataset: Dataset, table: str) -> None:
    rows, others = (
        (dataset.connection.execute(f"SELECT count(*) FROM {one}").fetchone() or (0,))[0]
        for one in (dataset.table, name(table))
    )
    if rows != others:
        problem = f"has {others} rows, and the dataset has {rows}"
        raise InvalidInput(table, problem, legal="the same, or joinsource_name_or_index")


def predicted(dataset: Dataset, config: AnalysisConfig) -> Dataset:
    """Ask the model for a prediction of every row.

    Raises
    ------
    InvalidInput
        No model is named, or its answers cannot be read as the settings say.
    ClaryError
        It does not answer.
    """
    if config.predictor is None:
        legal = "predicted_label, predicted_label_dataset_uri or a predictor"
        raise InvalidInput("predictor", "bias after training needs predictions", legal=legal)
    settings, threshold = config.predictor, config.threshold
    excluded = [dataset.column(one, field="excluded_columns") for one in config.excluded_columns]
    features = dataset.features(excluded)
    column = "predicted_label"
    while column in dataset.columns:
        column = f"_{column}"
    file = dataset.scratch / "answers.csv"
    with (
        endpoint(settings, features) as asked,
        file.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target)
        for answer in asked.answers(rows(dataset, features)):
            writer.writerow([prediction(answer, settings, threshold)])
    load_csv(dataset.connection, _PREDICTIONS, [str(file)], [column], ())
    return replace(_joined(dataset, _PREDICTIONS), prediction=column)


def rows(dataset: Dataset, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Give the rows of some columns in their order."""
    listed = ", ".join(name(one) for one in columns)
    cursor = dataset.connection.cursor()
    try:
        cursor.execute(f"SELECT {listed} FROM {dataset.table}")
        while some := cursor.fetchmany(_ROWS):
            yield from some
    finally:
        cursor.close()
