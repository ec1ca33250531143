"""Writing ensembles of trees as an ONNX model, and comparing it with what it was made from.

Each booster is one operator, whose output is its margins; what makes answers of margins is written
down beside it (``Facts``). A base score is a tree of one leaf before all others, so that sums are
taken in XGBoost's own order, and come out the same to the last digit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from clary.adapters.onnx_answers import FACTS, INPUT, Facts, opened
from clary.endpoints.trees import Evidence, Tree
from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from clary.endpoints.trees import Ensemble, Sample

RELATIVE = 1e-5
ABSOLUTE = 1e-7
"""An answer may differ from the native one by the first share of it, and by the second share of
the largest one in the sample."""
_OPSETS = {"ai.onnx.ml": 3, "": 17}
_IR_VERSION = 8
_SINGLE = {"argmax", "step"}
_SHOWN = 20


def compiled(
    ensembles: Sequence[Ensemble], sample: Sample, versions: Mapping[str, str]
) -> tuple[bytes, Evidence]:
    """Write the model whose answers are the means of ensembles', verified by a sample.

    Raises
    ------
    InvalidInput
        The sample is not one of such a model.
    NotSupported
        The ensembles differ in what they take or give; or the answers differ from the native ones
        beyond the tolerance, which says in which row.
    """
    facts = _facts(ensembles)
    rows, native = _numbers(sample, facts)
    model = _model(ensembles, facts)
    found = opened(_written(model, facts)).predict(rows).reshape(native.shape)
    difference, relative = _compared(rows, native.astype(np.float64), found.astype(np.float64))
    evidence = Evidence(
        rows=len(rows),
        real=min(sample.real, len(rows)),
        difference=difference,
        relative=relative,
        objective=ensembles[0].objective,
        trees=sum(len(one.trees) for one in ensembles),
        features=facts.features,
        outputs=facts.outputs,
        versions={**sample.versions, **versions},
    )
    return _written(model, facts, evidence), evidence


def _facts(ensembles: Sequence[Ensemble]) -> Facts:
    sizes = {(one.features, 1 if one.link in _SINGLE else len(one.base)) for one in ensembles}
    if len(sizes) != 1:
        raise NotSupported(f"{len(ensembles)} boosters, which differ in features or outputs")
    ((features, outputs),) = sizes
    return Facts(features, outputs, tuple(one.link for one in ensembles))


def _numbers(sample: Sample, facts: Facts) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the sample's bytes as a table of rows and one of answers."""
    width, outputs = facts.features, facts.outputs
    count = len(sample.rows) // (4 * width) if width else 0
    expected = (count * 4 * width, count * 4 * outputs, outputs)
    if not count or (len(sample.rows), len(sample.answers), sample.outputs) != expected:
        problem = f"{len(sample.rows)} bytes of rows, {len(sample.answers)} of answers"
        legal = f"rows of {width} numbers, answers of {outputs}"
        raise InvalidInput("sample", problem, legal=legal)
    rows = np.frombuffer(sample.rows, "<f4").reshape(count, width)
    return rows, np.frombuffer(sample.answers, "<f4").reshape(count, outputs)


def _compared(
    rows: NDArray[np.float32], native: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the largest absolute and relative difference."""
    with np.errstate(invalid="ignore", divide="ignore"):
        same = (native == found) | (np.isnan(native) & np.isnan(found))
        difference = np.where(same, 0.0, np.abs(native - found))
        difference[np.isnan(difference)] = math.inf
        relative = np.where(same, 0.0, difference / np.abs(native))
        largest = np.max(np.abs(native), where=np.isfinite(native), initial=0.0)
        bound = RELATIVE * np.abs(native) + ABSOLUTE * largest
        over = np.where(same, -math.inf, difference - np.nan_to_num(bound, posinf=0.0))
    worst = int(np.argmax(np.max(over, axis=1)))
    if np.max(over[worst]) > 0:
        row = ",".join(map(str, rows[worst, :_SHOWN].tolist()))
        raise NotSupported(
            f"the compiled model differs from the native one in row {worst}: "
            f"{found[worst, :_SHOWN].tolist()} instead of {native[worst, :_SHOWN].tolist()} "
            f"for {row}{',…' if rows.shape[1] > _SHOWN else ''}"
        )
    return float(np.max(difference)), float(np.max(relative))


def _written(model: Any, facts: Facts, evidence: Evidence | None = None) -> bytes:
    said = {FACTS: to_json(facts).decode(), "evidence": to_json(evidence).decode()}
    helper.set_model_props(model, said)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _model(ensembles: Sequence[Ensemble], facts: Facts) -> Any:
    outputs = [(f"margins_{index}", len(one.base)) for index, one in enumerate(ensembles)]
    nodes = [_node(name, one) for (name, _), one in zip(outputs, ensembles, strict=True)]
    table = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "xgboost",
        [table(INPUT, TensorProto.FLOAT, [None, facts.features])],
        [table(name, TensorProto.FLOAT, [None, width]) for name, width in outputs],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = _IR_VERSION
    return model


def _node(name: str, ensemble: Ensemble) -> Any:
    attributes: Any = _attributes(ensemble)
    return helper.make_node(
        "TreeEnsembleRegressor",
        [INPUT],
        [name],
        domain="ai.onnx.ml",
        n_targets=len(ensemble.base),
        **attributes,
    )


def _attributes(ensemble: Ensemble) -> dict[str, list[Any]]:
    """List the nodes of all trees, as TreeEnsembleRegressor wants them."""
    bases = [Tree(output, [-1], [-1], [0], [one], [0]) for output, one in enumerate(ensemble.base)]
    trees = [*bases, *ensemble.trees]
    sizes = [len(tree.left) for tree in trees]
    numbers = np.repeat(np.arange(len(trees)), sizes)
    places = np.concatenate([np.arange(size) for size in sizes])
    left = _flat(tree.left for tree in trees)
    values = _flat(tree.values for tree in trees)
    leaf = left < 0
    outputs = np.repeat([tree.output for tree in trees], sizes)
    nodes = {
        "treeids": numbers,
        "nodeids": places,
        "featureids": _flat(tree.features for tree in trees),
        "values": np.where(leaf, 0.0, values),
        "modes": np.where(leaf, "LEAF", "BRANCH_LT"),
        "truenodeids": np.where(leaf, 0, left),
        "falsenodeids": np.where(leaf, 0, _flat(tree.right for tree in trees)),
        "missing_value_tracks_true": _flat(tree.missing_left for tree in trees),
    }
    leaves = {"treeids": numbers, "nodeids": places, "ids": outputs, "weights": values}
    return {
        **{f"nodes_{name}": column.tolist() for name, column in nodes.items()},
        **{f"target_{name}": column[leaf].tolist() for name, column in leaves.items()},
    }


def _flat(lists: Iterable[list[Any]]) -> NDArray[Any]:
    return np.concatenate([np.array(one) for one in lists])
