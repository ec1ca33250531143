"""Ensembles of decision trees, read from XGBoost's own JSON, which is data from a sandbox."""

from __future__ import annotations

import math
import struct
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from clary.kernel.errors import InvalidInput, NotSupported

Link = Literal["identity", "logistic", "exp", "softmax", "argmax", "step"]
"""What makes an answer of margins."""

LARGEST_DOCUMENT = 128 << 20
MOST_NODES = 2_000_000
MOST_OUTPUTS = 10_000
MOST_FEATURES = 1_000_000
_FLOAT_MAX = 3.4028234663852886e38
_LINKS: dict[str, Link] = {
    **dict.fromkeys(
        ("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror"),
        "identity",
    ),
    **dict.fromkeys(("reg:absoluteerror", "reg:quantileerror", "reg:expectileerror"), "identity"),
    **dict.fromkeys(("rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw"), "identity"),
    **dict.fromkeys(("reg:logistic", "binary:logistic"), "logistic"),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), "exp"),
    **dict.fromkeys(("survival:cox", "survival:aft"), "exp"),
    "multi:softprob": "softmax",
    "multi:softmax": "argmax",
    "binary:hinge": "step",
}


class Tree(Struct, frozen=True):
    """One tree: parallel lists over its nodes, the root first.

    A node goes to ``left`` where the feature is under ``value``, or missing and ``missing_left``.
    A leaf has the children -1, and its ``value`` is what it adds to output ``output``.
    """

    output: int
    left: list[int]
    right: list[int]
    features: list[int]
    values: list[float]
    missing_left: list[int]


class Ensemble(Struct, frozen=True):
    """A booster: margins are ``base`` and the leaves of all trees, added in order in float32.

    Parameters
    ----------
    objective
        XGBoost's name of what was optimised.
    link
        What makes an answer of margins.
    features
        How many columns a row has.
    base
        The margin of each output before any tree.
    trees
        In the order in which they are added.
    """

    objective: str
    link: Link
    features: int
    base: list[float]
    trees: list[Tree]


class Sample(Struct, frozen=True):
    """Rows and the native model's answers to them, both little-endian float32, row by row.

    Parameters
    ----------
    rows, answers
        The numbers; NaN is a missing value.
    outputs
        How many numbers an answer has.
    versions
        What answered: ``xgboost``, ``python``.
    real
        How many of the rows are of data that the model was made from; they come first.
    """

    rows: bytes
    answers: bytes
    outputs: int
    versions: dict[str, str] = field(default_factory=dict)
    real: int = 0


class Evidence(Struct, frozen=True):
    """How a compiled model was verified.

    Parameters
    ----------
    rows, real
        How many rows were compared, and how many of them are of the model's own data.
    difference
        The largest absolute difference between an answer and the native one.
    relative
        The largest difference relative to the native answer.
    objective, trees, features, outputs
        What the model is.
    versions
        What answered natively, and what compiled and runs it.
    """

    rows: int
    real: int
    difference: float
    relative: float
    objective: str
    trees: int
    features: int
    outputs: int
    versions: dict[str, str]


class _TreeParameters(Struct):
    size_leaf_vector: str = "1"


class _Tree(Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[int | bool]
    split_type: list[int] = field(default_factory=list)
    tree_param: _TreeParameters = field(default_factory=_TreeParameters)


class _Forest(Struct):
    trees: list[_Tree] = field(default_factory=list)
    tree_info: list[int] = field(default_factory=list)


class _Booster(Struct):
    name: str
    model: _Forest | None = None
    gbtree: _Booster | None = None
    weight_drop: list[float] = field(default_factory=list)


class _Parameters(Struct):
    base_score: str
    num_feature: str
    num_class: str = "0"
    num_target: str = "1"


class _Objective(Struct):
    name: str


class _Learner(Struct):
    gradient_booster: _Booster
    learner_model_param: _Parameters
    objective: _Objective


class _Document(Struct):
    learner: _Learner


def read(document: bytes) -> Ensemble:
    """Read the JSON that XGBoost saves a model as.

    Raises
    ------
    InvalidInput
        It is no such document: malformed, or trees that are none.
    NotSupported
        It is one, of a sort that is not compiled; says which.
    """
    if len(document) > LARGEST_DOCUMENT:
        raise NotSupported(f"the model is {len(document)} bytes of JSON, over {LARGEST_DOCUMENT}")
    try:
        learner = msgspec.json.decode(document, type=_Document, strict=False).learner
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput("model", f"it is not XGBoost's JSON: {error}") from None
    objective = learner.objective.name
    link = _LINKS.get(objective)
    if link is None:
        raise NotSupported(f"the objective {objective} is not compiled")
    sizes = learner.learner_model_param
    features = _number(sizes.num_feature, "num_feature", MOST_FEATURES)
    classes = _number(sizes.num_class, "num_class", MOST_OUTPUTS)
    targets = _number(sizes.num_target, "num_target", MOST_OUTPUTS)
    outputs = max(classes, targets, 1)
    forest, weights = _forest(learner.gradient_booster)
    if sum(len(tree.left_children) for tree in forest.trees) > MOST_NODES:
        raise NotSupported(f"the model has more than {MOST_NODES} nodes")
    trees = [
        _tree(one, forest.tree_info[index], weights[index], (features, outputs))
        for index, one in enumerate(forest.trees)
    ]
    return Ensemble(objective, link, features, _base(sizes.base_score, outputs, objective), trees)


def _number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) <= most):
        raise InvalidInput(name, f"{text[:20]!r}", legal=f"0 to {most}")
    return int(text)


def _forest(booster: _Booster) -> tuple[_Forest, list[float]]:
    inner = booster.gbtree if booster.name == "dart" else booster
    if booster.name not in {"gbtree", "dart"}:
        raise NotSupported(f"the booster {booster.name} is not compiled")
    if inner is None or inner.model is None:
        raise InvalidInput("model", f"the booster {booster.name} has no trees")
    forest = inner.model
    count = len(forest.trees)
    weights = booster.weight_drop if booster.name == "dart" else [1.0] * count
    if len(forest.tree_info) != count or len(weights) != count:
        raise InvalidInput("tree_info", "there is not one entry a tree")
    return forest, weights


def _base(text: str, outputs: int, objective: str) -> list[float]:
    """Read the base score, a number or one a class, and make margins of it."""
    try:
        found: Any = msgspec.json.decode(text.encode(), type=float | list[float])
    except (msgspec.DecodeError, UnicodeError):
        raise InvalidInput("base_score", f"{text[:40]!r} is no number") from None
    scores = found if isinstance(found, list) else [found]
    scores = scores * outputs if len(scores) == 1 else scores
    if len(scores) != outputs:
        raise InvalidInput("base_score", f"{len(scores)} numbers, not {outputs}")
    return [_float32(_margin(_float32(score), objective)) for score in scores]


def _margin(score: float, objective: str) -> float:
    try:
        if _LINKS[objective] == "logistic":
            return -math.log(_float32(1.0 / score) - 1.0)
        return math.log(score) if _LINKS[objective] == "exp" else score
    except (ValueError, ZeroDivisionError):
        raise InvalidInput("base_score", f"{score} is none of {objective}") from None


def _tree(tree: _Tree, output: int, weight: float, sizes: tuple[int, int]) -> Tree:
    """Check a tree and keep the nodes that its root leads to."""
    features, outputs = sizes
    count = len(tree.left_children)
    lists = (tree.right_children, tree.split_indices, tree.split_conditions, tree.default_left)
    if not count or any(len(one) != count for one in lists):
        raise InvalidInput("trees", "the lists of a tree differ in length")
    if tree.tree_param.size_leaf_vector not in {"0", "1"}:
        raise NotSupported("trees with vectors in their leaves are not compiled")
    if any(tree.split_type):
        raise NotSupported("splits on categories are not compiled")
    if not 0 <= output < outputs:
        raise InvalidInput("tree_info", f"{output}", legal=f"0 to {outputs - 1}")
    order = _reached(tree, count)
    place = {node: at for at, node in enumerate(order)}
    place[-1] = -1
    kept = Tree(
        output,
        [place[tree.left_children[node]] for node in order],
        [place[tree.right_children[node]] for node in order],
        [tree.split_indices[node] for node in order],
        [_float32(tree.split_conditions[node]) for node in order],
        [1 if tree.default_left[node] else 0 for node in order],
    )
    for at, left in enumerate(kept.left):
        if left < 0:
            kept.features[at] = 0
            kept.values[at] = _float32(kept.values[at] * _float32(weight))
        elif not 0 <= kept.features[at] < features:
            legal = f"0 to {features - 1}"
            raise InvalidInput("split_indices", f"{kept.features[at]}", legal=legal)
    return kept


def _reached(tree: _Tree, count: int) -> list[int]:
    """List the nodes below the root, each once; what is met twice is no tree."""
    seen = bytearray(count)
    order = [0]
    seen[0] = 1
    for node in order:
        children = (tree.left_children[node], tree.right_children[node])
        if children == (-1, -1):
            continue
        for child in children:
            if not 0 <= child < count:
                raise InvalidInput("trees", f"node {node} has the child {child} of {count}")
            if seen[child]:
                raise InvalidInput("trees", f"node {child} has two parents, or is its own ancestor")
            seen[child] = 1
            order.append(child)
    return order


def _float32(value: float) -> float:
    """Round to the nearest float32. Raises InvalidInput when it is not finite."""
    if not -_FLOAT_MAX <= value <= _FLOAT_MAX:
        raise InvalidInput("trees", f"{value} is no finite 32-bit number")
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded
