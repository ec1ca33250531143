"""Trained parameters of ``.flow`` files: saved models of Spark, as our states and back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.flows.wrangler import spark_models
from clary.flows.wrangler.rules import alone, copied, leaves, put
from clary.flows.wrangler.spark_models import SparkModel
from clary.kernel.errors import ClaryError, InvalidInput

if TYPE_CHECKING:
    from clary.flows.model import Node

State = dict[str, Any]
Models = Mapping[str, SparkModel]
_OWN = "clary"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the state of one of our transforms is told in a file.

    Parameters
    ----------
    block
        The path of what they keep for it.
    read
        From the node's parameters and the models, by the name of their class, to our state;
        None where a model is missing.
    write
        From the node's parameters and our state to models, by the name they have in the block.
    """

    block: str
    read: Callable[[State, Models], State | None]
    write: Callable[[State, State], Models]


def read(node: Node, document: Mapping[str, Any]) -> State | None:
    """Read what a node has learned; None where the file tells nothing that we know.

    Raises
    ------
    InvalidInput, LimitExceeded
        A model is damaged or too large.
    """
    own = document.get(_OWN)
    if isinstance(own, dict):
        return dict(copied(own))
    if node.operator == "parse.infer":
        return _types(document)
    if not {"column", "columns"} & set(node.with_):
        return None
    if node.operator in _OUTLIERS:
        return _limits(node, document.get(_OUTLIERS[node.operator]))
    layout = LAYOUTS.get(node.operator)
    return layout.read(node.with_, _models(document)) if layout is not None else None


def write(node: Node, state: State) -> dict[str, Any]:
    """Write what a node has learned as they do, else as it is, under ``clary``."""
    if node.operator == "parse.infer":
        return {"schema": {name: _WRITTEN[kind] for name, kind in state["types"].items()}}
    layout = LAYOUTS.get(node.operator)
    if any(value is None for _, value in leaves(state)):
        return {_OWN: copied(state)}
    if node.operator in _OUTLIERS:
        return {_OUTLIERS[node.operator]: _told_limits(state)}
    if layout is None:
        return {_OWN: copied(state)}
    made: dict[str, Any] = {}
    for name, model in layout.write(node.with_, state).items():
        put(made, f"{layout.block}.{name}", spark_models.write(model))
    return made


def _models(document: Mapping[str, Any]) -> Models:
    found = {}
    for path, value in leaves(document):
        if path.endswith("_model") and isinstance(value, str):
            try:
                model = spark_models.read(value)
            except ClaryError as error:
                raise InvalidInput(path, error.message) from None
            found[model.kind] = model
    return found


_READ = {
    "long": "bigint",
    "float": "double",
    "bool": "boolean",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "string": "varchar",
}
_WRITTEN = {value: key for key, value in reversed(_READ.items())}


def _types(document: Mapping[str, Any]) -> State | None:
    schema = document.get("schema")
    if not isinstance(schema, dict):
        return None
    for name, kind in schema.items():
        if str(kind) not in _READ:
            raise InvalidInput(f"schema.{name}", f"{kind!r}", legal=", ".join(_READ))
    return {"types": {name: _READ[str(kind)] for name, kind in schema.items()}}


_OUTLIERS = {
    f"outliers.{one}": f"{one}_numeric_outliers_parameters"
    for one in ("standard_deviation", "quantile")
}
_THRESHOLDS = {"lower": "lower_threshold", "upper": "upper_threshold"}


def _limits(node: Node, told: Any) -> State | None:
    """Read the limits of each column: an object, or a list of them that name their columns."""
    columns = node.with_["columns"]
    blocks = told if isinstance(told, list) else [told]
    if not all(isinstance(one, dict) and set(_THRESHOLDS.values()) <= set(one) for one in blocks):
        return None
    only = columns[0] if len(columns) == 1 else None
    found = {
        str(alone(one.get("input_column", only))): {
            ours: one[name] for ours, name in _THRESHOLDS.items()
        }
        for one in blocks
    }
    limits = [limit for one in found.values() for limit in one.values()]
    if set(found) != set(columns) or not all(map(_is_number, limits)):
        problem = "does not hold two numbers for each column"
        raise InvalidInput(_OUTLIERS[node.operator], problem, legal=", ".join(columns))
    return {name: found[name] for name in columns}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _told_limits(state: State) -> list[State]:
    return [
        {"input_column": name, **{theirs: one[ours] for ours, theirs in _THRESHOLDS.items()}}
        for name, one in state.items()
    ]


def _labels(models: Models) -> list[str] | None:
    model = models.get("StringIndexerModel")
    if model is None:
        return None
    found = model.data.get("labelsArray") or [model.data.get("labels")]
    labels = found[0] if isinstance(found, list) and found else None
    if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise InvalidInput("string_indexer_model", "holds no list of labels")
    return labels


def _indexed(given: State, models: Models) -> State | None:  # noqa: ARG001 the layouts' shape
    labels = _labels(models)
    return None if labels is None else {"categories": labels}


def _indexer(given: State, state: State) -> Models:
    labels = {"labelsArray": [state["categories"]]}
    parameters = {"inputCol": given["column"], "outputCol": "temp_col", "handleInvalid": "keep"}
    return {"string_indexer_model": SparkModel("StringIndexerModel", labels, parameters)}


def _encoders(given: State, state: State) -> Models:
    sizes = {"categorySizes": [len(state["categories"]) + 1]}
    drop = {"inputCol": "temp_col", "outputCol": "_temp_col_0", "dropLast": False}
    encoder = SparkModel("OneHotEncoderModel", sizes, drop)
    return {**_indexer(given, state), "one_hot_encoder_model": encoder}


def _scaler(kind: str, names: Mapping[str, str]) -> Layout:
    """Lay out a scaler: ``names`` are our measures of a column, by the name of their vector."""

    def read(given: State, models: Models) -> State | None:
        model = models.get(kind)
        if model is None:
            return None
        columns = given["columns"]
        vectors: dict[str, list[float]] = {}
        for theirs, ours in names.items():
            vector = model.data.get(theirs)
            if not isinstance(vector, list) or len(vector) != len(columns):
                raise InvalidInput(f"scaler_model.{theirs}", f"is no vector of {len(columns)}")
            vectors[ours] = vector
        return {
            name: {ours: vector[place] for ours, vector in vectors.items()}
            for place, name in enumerate(columns)
        }

    def write(given: State, state: State) -> Models:
        columns = given["columns"]
        data = {theirs: [state[one][ours] for one in columns] for theirs, ours in names.items()}
        return {"scaler_model": SparkModel(kind, data, _parameters(kind, given))}

    block = kind.removesuffix("Model")
    path = "".join(f"_{one.lower()}" if one.isupper() else one for one in block).lstrip("_")
    return Layout(f"scale_values_parameters.{path}_parameters", read, write)


def _parameters(kind: str, given: State) -> State:
    if kind == "StandardScalerModel":
        return {"withMean": given.get("center", True), "withStd": given.get("scale", True)}
    return {"min": given.get("minimum", 0.0), "max": given.get("maximum", 1.0)}


LAYOUTS = {
    "encode.ordinal": Layout("ordinal_encode_parameters", _indexed, _indexer),
    "encode.one_hot": Layout("one_hot_encode_parameters", _indexed, _encoders),
    "numeric.standard": _scaler("StandardScalerModel", {"std": "deviation", "mean": "mean"}),
    "numeric.min_max": _scaler(
        "MinMaxScalerModel", {"originalMin": "minimum", "originalMax": "maximum"}
    ),
}
