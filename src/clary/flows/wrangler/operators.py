"""The operators of ``.flow`` files, as ours and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from clary.flows.transforms import catalogue
from clary.flows.wrangler import encoding, series, shaping, splits, texts, whole
from clary.flows.wrangler.rules import copied
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.flows.model import Node
    from clary.flows.wrangler.rules import Rule

RULES: tuple[Rule, ...] = (
    *whole.RULES,
    *shaping.RULES,
    *encoding.RULES,
    *texts.RULES,
    *series.RULES,
    *splits.RULES,
)
_THEIRS = "sagemaker."
_OURS = "clary."
_VERSION = "_0.1"


def read(operator: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Read an operator of a file and its parameters as ours.

    Raises
    ------
    InvalidInput
        It, or one of its parameters, is not known.
    """
    name = operator.removesuffix(_VERSION)
    if name.startswith(_OURS):
        return name.removeprefix(_OURS), parameters
    known = [one for one in RULES if f"{_THEIRS}{one.theirs}" == name and one.matches(parameters)]
    known.sort(key=lambda one: not one.has_block(parameters))
    if known:
        return known[0].ours, known[0].read(parameters)
    told = parameters.get("operator")
    problem = f"{operator} ({told})" if told else operator
    raise InvalidInput("operator", f"{problem} is not known here")


def write(node: Node, over: Mapping[str, Any] | None) -> tuple[str, str, dict[str, Any]]:
    """Write a node's operator and parameters: theirs, else ours under ``clary.``.

    Parameters
    ----------
    over
        The parameters of the same operator in the file that the flow was read from.

    Returns
    -------
    tuple
        Its type, operator and parameters.
    """
    if node.operator.startswith(_THEIRS):
        kind = "VISUALIZATION" if ".visualizations." in node.operator else "TRANSFORM"
        return kind, node.operator, copied(node.with_)
    kind = _kind(node.operator)
    rule, made = _told(node, over)
    if rule is not None and rule.theirs.startswith("dataset."):
        kind = "DATASET"
    if rule is None:
        return kind, f"{_OURS}{node.operator}{_VERSION}", copied(node.with_)
    return kind, f"{_THEIRS}{rule.theirs}{_VERSION}", made


def called(node: Node) -> str:
    """Name the operator that a node is in a file."""
    return write(node, None)[1]


def _told(node: Node, over: Mapping[str, Any] | None) -> tuple[Rule | None, dict[str, Any]]:
    known = [one for one in RULES if one.ours == node.operator]
    before = over or {}
    known.sort(
        key=lambda one: -len(one.chosen) if one.matches(before) and one.has_block(before) else 1
    )
    for one in known:
        made = one.write(_explicit(one, node), over or {})
        if made is not None:
            return one, made
    return None, {}


def _explicit(rule: Rule, node: Node) -> dict[str, Any]:
    """Add our defaults where a file that does not name a parameter means something else."""
    kind = catalogue().get(node.operator)
    defaults = {one.name: one.default for one in structs.fields(kind)} if kind else {}
    silent = {one.ours: one.absent for one in rule.fields if one.absent is not None}
    added = {n: defaults[n] for n, told in silent.items() if defaults.get(n, told) != told}
    return added | node.with_


def _kind(operator: str) -> str:
    kinds = {"source": "SOURCE", "destination": "DESTINATION"}
    return kinds.get(operator, "VISUALIZATION" if operator.startswith("analysis.") else "TRANSFORM")
