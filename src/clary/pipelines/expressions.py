"""Expressions of a pipeline definition: Get, Std:Join and Std:JsonGet, found and resolved.

An expression is a JSON object with one member; it may stand anywhere in a step's document.
A path is written ``a.b[0]['c d']``. A name in brackets also picks from a list the object of that
name: ``Outputs['train']`` is the one whose ``OutputName`` is ``train``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.kernel.codec import to_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Path = tuple[str | int, ...]

VARIABLES = (
    "CurrentDateTime",
    "PipelineArn",
    "PipelineExecutionArn",
    "PipelineExecutionId",
    "PipelineName",
    "ProcessingJobName",
    "StartDateTime",
    "TrainingJobName",
)
_ROOTS = "Parameters.<name>, Execution.<variable> or Steps.<step>.<path>"
_GET, _JOIN, _JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_NAMED_BY = ("OutputName", "InputName", "ChannelName", "MetricName", "ContainerHostname", "Name")
_SEGMENT = re.compile(r"""\.([^.\[\]'"]+)|\[([0-9]{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_STEP = re.compile(r"([A-Za-z0-9_-]+)(?=[.\[])(.*)", re.DOTALL)
_LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class Get:
    """A parsed Get: ``root`` is Parameters, Execution or Steps; only Steps have a path."""

    text: str
    root: str
    name: str
    path: Path = ()

    @property
    def file(self) -> str:
        """The property file it names, if it names one."""
        is_file = len(self.path) == 2 and self.path[0] == "PropertyFiles"
        return str(self.path[1]) if is_file else ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A Get, where it stands in its document, and whether as a JsonGet's property file."""

    place: str
    get: Get
    as_file: bool = False


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a finished step offers: its properties, and its property files as text."""

    properties: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions resolve against; ``read`` gives the text of an S3 URI's object."""

    parameters: Mapping[str, Any]
    variables: Mapping[str, str]
    steps: Mapping[str, StepOutput]
    read: Callable[[str], str]


def parse_path(text: str, *, place: str) -> Path:
    """Read a path.

    Raises
    ------
    InvalidInput
        It is empty, too long or not of the dialect; names ``place``.

    Examples
    --------
    >>> parse_path("a.b[0]['c d']", place="Path")
    ('a', 'b', 0, 'c d')
    """
    if not 0 < len(text) <= _LONGEST_PATH:
        raise InvalidInput(place, f"a path of {len(text)} characters", legal="1 to 1024")
    rest = text if text.startswith("[") else f".{text}"
    path: list[str | int] = []
    position = 0
    while position < len(rest):
        match = _SEGMENT.match(rest, position)
        if match is None:
            raise InvalidInput(place, f"{text!r} is not a path", legal="like a.b[0]['c d']")
        key, kind = match[match.lastindex or 0], match.lastindex
        path.append(int(key) if kind == 2 else key)
        position = match.end()
    return tuple(path)


def parse_get(text: Any, *, place: str) -> Get:
    """Read what a Get holds. Raises InvalidInput, naming ``place``, when it is none."""
    root, _, rest = text.partition(".") if isinstance(text, str) else ("", "", "")
    if root == "Parameters" and rest:
        return Get(text, root, rest)
    if root == "Execution" and rest in VARIABLES:
        return Get(text, root, rest)
    if root == "Execution":
        raise InvalidInput(place, f"no execution variable {rest!r}", legal=", ".join(VARIABLES))
    if root == "Steps" and (match := _STEP.fullmatch(rest)):
        name, path = match.groups()
        return Get(text, root, name, parse_path(path.removeprefix("."), place=place))
    raise InvalidInput(place, f"cannot Get {text!r}", legal=_ROOTS)


def is_expression(value: Any) -> bool:
    """Whether it stands for a value that is known only later."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and (_GET in value or next(iter(value)).startswith("Std:"))
    )


def references(value: Any, place: str = "") -> Iterator[Reference]:
    """Yield every Get below ``value``. Raises InvalidInput at the place of a malformed one."""
    if is_expression(value):
        yield from _of_expression(value, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from references(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from references(item, f"{place}[{index}]")


def _of_expression(value: dict[str, Any], place: str) -> Iterator[Reference]:
    if _GET in value:
        yield Reference(place, parse_get(value[_GET], place=place))
    elif _JOIN in value:
        yield from references(_join_of(value, place)["Values"], f"{place}.{_JOIN}.Values")
    else:
        get = _json_get_of(value, place)
        place = f"{place}.{_JSON_GET}"
        parse_path(get["Path"], place=f"{place}.Path")
        yield from references(get.get("S3Uri"), f"{place}.S3Uri")
        if "PropertyFile" in get:
            yield _file_reference(get["PropertyFile"], f"{place}.PropertyFile")


def _join_of(value: dict[str, Any], place: str) -> dict[str, Any]:
    join = value[_JOIN]
    is_join = isinstance(join, dict) and isinstance(join.get("Values"), list)
    if not is_join or not isinstance(join.get("On", ""), str) or join.keys() - {"On", "Values"}:
        raise InvalidInput(f"{place}.{_JOIN}", "malformed", legal='{"On": text, "Values": [...]}')
    return join  # type: ignore[no-any-return]  # is_join has shown that it is an object


def _json_get_of(value: dict[str, Any], place: str) -> dict[str, Any]:
    if _JSON_GET not in value:
        unknown = next(iter(value))
        raise InvalidInput(place, f"no function {unknown!r}", legal=f"{_JOIN}, {_JSON_GET}")
    get = value[_JSON_GET]
    sources = get.keys() & {"PropertyFile", "S3Uri"} if isinstance(get, dict) else ()
    if len(sources) != 1 or not isinstance(get.get("Path"), str) or len(get) != 2:
        legal = '"Path" and either "PropertyFile" or "S3Uri"'
        raise InvalidInput(f"{place}.{_JSON_GET}", "malformed", legal=legal)
    return get  # type: ignore[no-any-return]  # it has sources, so it is an object


def _file_reference(value: Any, place: str) -> Reference:
    get = parse_get(value.get(_GET) if isinstance(value, dict) else None, place=place)
    if not get.file:
        legal = '{"Get": "Steps.<step>.PropertyFiles.<name>"}'
        raise InvalidInput(place, f"{get.text!r} names no property file", legal=legal)
    return Reference(place, get, as_file=True)


def resolve(value: Any, scope: Scope) -> Any:
    """Replace every expression below ``value`` by what it stands for.

    Raises
    ------
    InvalidInput
        One does not resolve; its ``field`` is the expression's own text.
    """
    if is_expression(value):
        return _resolve_expression(value, scope)
    if isinstance(value, dict):
        return {key: resolve(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return value


def compiled(value: Any) -> Callable[[Scope], Any] | None:
    """Prepare to ``resolve`` a value many times; None when there is no expression below it.

    What has none is not copied when it is resolved.
    """
    if is_expression(value):
        return lambda scope: _resolve_expression(value, scope)
    if isinstance(value, dict):
        members = {key: made for key, item in value.items() if (made := compiled(item))}
        if members:
            return lambda scope: {
                **value,
                **{key: made(scope) for key, made in members.items()},
            }
    if isinstance(value, list):
        items = [compiled(item) for item in value]
        if any(items):
            return lambda scope: [
                made(scope) if made else item for made, item in zip(items, value, strict=True)
            ]
    return None


def _resolve_expression(value: dict[str, Any], scope: Scope) -> Any:
    if _GET in value:
        return _resolve_get(parse_get(value[_GET], place=_GET), scope)
    if _JOIN in value:
        join = _join_of(value, "")
        return join.get("On", "").join(as_text(resolve(item, scope)) for item in join["Values"])
    get = _json_get_of(value, "")
    path = parse_path(get["Path"], place=f"{_JSON_GET}.Path")
    if "S3Uri" in get:
        source = as_text(resolve(get["S3Uri"], scope))
        text: str | None = scope.read(source)
    else:
        file = _file_reference(get["PropertyFile"], _JSON_GET).get
        source, text = file.text, _output(file, scope).files.get(file.file)
    if text is None:
        raise InvalidInput(source, "the step has left no such property file")
    return walk(_document(text, source), path, text=f"{source} {get['Path']}")


def _document(text: str, source: str) -> Any:
    """Read JSON as Python writes it: metrics are NaN or Infinity at times."""
    try:
        document = json.loads(text)
        to_json(document)  # half a surrogate pair, for one, could not be recorded
    except (ValueError, RecursionError) as error:
        raise InvalidInput(source, f"not valid JSON: {error}") from None
    return document


def _resolve_get(get: Get, scope: Scope) -> Any:
    if get.root == "Steps":
        return walk(_output(get, scope).properties, get.path, text=get.text)
    values = scope.parameters if get.root == "Parameters" else scope.variables
    if get.name not in values:
        raise InvalidInput(get.text, "has no value", legal=", ".join(values))
    return values[get.name]


def _output(get: Get, scope: Scope) -> StepOutput:
    if get.name not in scope.steps:
        raise InvalidInput(get.text, f"step {get.name!r} has not run")
    return scope.steps[get.name]


def walk(document: Any, path: Path, *, text: str) -> Any:
    """Follow ``path`` into ``document``. Raises InvalidInput, naming ``text``, where it ends."""
    for depth, key in enumerate(path):
        found = _step_into(document, key)
        if found is None:
            at = "".join(f"[{part!r}]" for part in path[: depth + 1])
            raise InvalidInput(text, f"does not resolve: nothing at {at}", legal=_keys(document))
        document = found[0]
    return document


def _step_into(document: Any, key: str | int) -> tuple[Any] | None:
    if isinstance(document, dict):
        return (document[key],) if key in document else None
    if not isinstance(document, list):
        return None
    if isinstance(key, str):
        return next(((item,) for item in document if name_of(item) == key), None)
    return (document[key],) if key < len(document) else None


def name_of(item: Any) -> Any:
    """Say how a list's object is called: by its OutputName, ChannelName, …; None without one."""
    if not isinstance(item, dict):
        return None
    return next((item[member] for member in _NAMED_BY if member in item), None)


def _keys(document: Any) -> str:
    if isinstance(document, dict):
        return ", ".join(list(document)[:20])
    if isinstance(document, list):
        names = [name for item in document[:20] if isinstance(name := name_of(item), str)]
        return ", ".join(names) or f"an index below {len(document)}"
    return ""


def as_text(value: Any) -> str:
    """Write a scalar as Std:Join does: true and false in lower case, 6.0 as ``6.0``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = {type(None): "null", list: "a list"}.get(type(value), "an object")
    raise InvalidInput(_JOIN, f"{kind} cannot be joined", legal="texts, numbers, true, false")
