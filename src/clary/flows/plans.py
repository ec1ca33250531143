"""A flow that has been fitted, as steps: what every engine runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.flows import transforms
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow, Node
    from clary.flows.steps import Schema, Step


@dataclass(frozen=True, slots=True)
class Planned:
    """A node as steps over its inputs; ``columns`` is what it gives. Sources have no steps."""

    node: Node
    steps: tuple[Step, ...]
    columns: Schema


def plan(flow: Flow, node: str, fitted: Fitted, sources: Mapping[str, Schema]) -> list[Planned]:
    """Plan all that a node needs, in order.

    Parameters
    ----------
    flow, node
        The flow, and the node whose rows are wanted.
    fitted
        What its nodes have learned.
    sources
        The columns of each source.

    Raises
    ------
    InvalidInput
        A node does not fit the columns it gets, or has learned nothing yet; names it.
    LimitExceeded
        A node is too large; names it.
    """
    made: dict[str, Planned] = {}
    for one in flow.until(node):
        if one.operator == "source":
            made[one.id] = Planned(one, (), sources[one.id])
            continue
        if one.operator.startswith(("analysis.", "destination")):
            made[one.id] = Planned(one, (), made[one.inputs[0]].columns)
            continue
        made[one.id] = planned(one, [made[x].columns for x in one.inputs], fitted)
    return list(made.values())


def ready(flow: Flow, node: str, fitted: Fitted) -> list[Planned]:
    """Plan all that a node needs, of a flow that has been fitted: it knows its sources' columns.

    Raises
    ------
    InvalidInput
        It has not been fitted.
    """
    sources = {}
    for one in flow.until(node):
        if one.operator == "source":
            if one.id not in fitted.nodes:
                problem = f"the source {one.id} has not been read yet: fit the flow"
                raise InvalidInput("fitted", problem)
            sources[one.id] = fitted.nodes[one.id].schema
    return plan(flow, node, fitted, sources)


def planned(node: Node, schemas: list[Schema], fitted: Fitted) -> Planned:
    """Plan one node. Raises InvalidInput and LimitExceeded, which name it."""
    transform = transforms.of(node)
    learned = fitted.learned(node)
    if transform.learns and learned is None:
        raise InvalidInput("fitted", f"the node {node.id} has learned nothing yet: fit the flow")
    try:
        steps = transform.steps(schemas, learned.state if learned else {})
    except (InvalidInput, LimitExceeded) as error:
        raise named(node, error) from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        if not transform.learns:
            raise
        problem = f"what it has learned does not fit it ({error!r})"
        raise named(node, InvalidInput("", problem, hint="fit the flow again")) from error
    columns = schemas[0] if schemas else {}
    for step in steps:
        columns = step.schema(columns)
        _check_names(node, columns)
    return Planned(node, steps, columns)


def _check_names(node: Node, columns: Schema) -> None:
    """See to it that every column has a name of its own, whatever the case."""
    taken: dict[str, str] = {}
    for name in columns:
        if not name:
            raise named(node, InvalidInput("output", "a column has no name"))
        other = taken.setdefault(name.lower(), name)
        if other != name:
            problem = f"two columns are called {other!r} and {name!r}"
            raise named(node, InvalidInput("output", problem, legal="names that differ by more"))


def named(node: Node, error: ClaryError) -> ClaryError:
    """Say at which node an error was."""
    place = f"node {node.id} ({node.operator})"
    if isinstance(error, LimitExceeded):
        return LimitExceeded(f"{place}: {error.message}", hint=error.hint)
    return InvalidInput(place, error.message, hint=error.hint)
