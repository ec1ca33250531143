"""What schedules and rules start: pipelines, queues and functions, and what these are given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.codec import build, from_json, to_json
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref, parse_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject

KINDS = ("pipeline", "queue", "function")
_PATH = re.compile(r"\$(\.[A-Za-z0-9_-]+|\[[0-9]{1,4}\])*")
_PART = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]{1,4})\]")
_HOLE = re.compile(r"<([A-Za-z0-9_.-]+)>")
_OTHERS = ("EcsParameters", "KinesisParameters", "EventBridgeParameters", "BatchParameters")


class Parameter(msgspec.Struct, frozen=True, rename="pascal"):
    """A pipeline's parameter; the value may be the path of one in the event: ``$.detail.x``."""

    name: str
    value: str


class PipelineParameters(msgspec.Struct, frozen=True, rename="pascal"):
    """What a pipeline is started with."""

    pipeline_parameter_list: list[Parameter] = []


class Transformer(msgspec.Struct, frozen=True, rename="pascal"):
    """Values by their paths in the event, and a text with holes ``<name>`` for them."""

    input_template: str
    input_paths_map: dict[str, str] = {}


class DeadLetters(msgspec.Struct, frozen=True, rename="pascal"):
    """The queue for events that could not be delivered."""

    arn: str = ""


class Target(msgspec.Struct, frozen=True, rename="pascal"):
    """What is started, and with what."""

    arn: str
    id: str = ""
    role_arn: str = ""
    input: str | None = None
    input_path: str | None = None
    input_transformer: Transformer | None = None
    sage_maker_pipeline_parameters: PipelineParameters = PipelineParameters()
    dead_letter_config: DeadLetters = DeadLetters()

    @property
    def ref(self) -> Ref:
        """The pipeline, queue or function. Raises InvalidInput."""
        return _aim(self.arn, "Target.Arn", KINDS)

    @property
    def dead_letters(self) -> Ref | None:
        """The queue for what cannot be delivered. Raises InvalidInput."""
        text = self.dead_letter_config.arn
        return _aim(text, "DeadLetterConfig.Arn", ("queue",)) if text else None

    def text(self, event: Mapping[str, Any]) -> str:
        """Write what a queue or function is given of an event, as JSON or as the text asked for."""
        if self.input is not None:
            return self.input
        if self.input_transformer is not None:
            return _fill(self.input_transformer, event)
        if self.input_path is not None:
            return to_json(look_up(event, self.input_path)).decode()
        return to_json(event).decode()

    def parameters(self, event: Mapping[str, Any]) -> list[dict[str, str]]:
        """Write what a pipeline is started with."""
        listed = self.sage_maker_pipeline_parameters.pipeline_parameter_list
        return [{"Name": one.name, "Value": _value(one.value, event)} for one in listed]


def target(document: JsonObject, *, near: Ref, field: str = "Target") -> Target:
    """Read a target's public document.

    Parameters
    ----------
    near
        The schedule or rule, in whose account and region the target must be.

    Raises
    ------
    InvalidInput
        It is nothing that can be started here.
    """
    found = build(Target, document, field=field)
    for member in _OTHERS:
        if member in document:
            raise InvalidInput(f"{field}.{member}", "is not offered", legal=", ".join(KINDS))
    for ref in (found.ref, found.dead_letters):
        if ref is not None and (ref.account, ref.region) != (near.account, near.region):
            problem = f"{ref} is in another account or region"
            raise InvalidInput(f"{field}.Arn", problem)
    given = [found.input, found.input_path, found.input_transformer]
    if len(given) - given.count(None) > 1:
        legal = "one of Input, InputPath and InputTransformer"
        raise InvalidInput(field, "has more than one input", legal=legal)
    _check_paths(found, field)
    return found


def _check_paths(found: Target, field: str) -> None:
    paths = [found.input_path or "$"]
    if found.input_transformer is not None:
        paths += found.input_transformer.input_paths_map.values()
    for path in paths:
        if not _PATH.fullmatch(path):
            raise InvalidInput(field, f"{path!r:.200} is no path", legal="like $.detail.status")
    if found.input is not None and found.ref.kind == "function":
        from_json(found.input, field=f"{field}.Input")


def look_up(event: Mapping[str, Any], path: str) -> Any:
    """Follow a path into an event; None where it leads nowhere.

    Examples
    --------
    >>> look_up({"detail": {"names": ["a", "b"]}}, "$.detail.names[1]")
    'b'
    """
    value: Any = event
    for name, index in _PART.findall(path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            inside = isinstance(value, list) and int(index) < len(value)
            value = value[int(index)] if inside else None
    return value


def _fill(transformer: Transformer, event: Mapping[str, Any]) -> str:
    values = {name: look_up(event, path) for name, path in transformer.input_paths_map.items()} | {
        "aws.events.event.json": event,
        "aws.events.event": event,
    }

    def written(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        return value if isinstance(value, str) else to_json(value).decode()

    return _HOLE.sub(written, transformer.input_template)


def _value(text: str, event: Mapping[str, Any]) -> str:
    if not _PATH.fullmatch(text) or text == "$":
        return text
    found = look_up(event, text)
    return found if isinstance(found, str) else to_json(found).decode()


def _aim(text: str, field: str, kinds: tuple[str, ...]) -> Ref:
    ref = parse_arn(text, field=field)
    if ref.kind not in kinds:
        raise InvalidInput(field, f"{text!r:.200}", legal=f"the ARN of a {' or '.join(kinds)}")
    return ref
