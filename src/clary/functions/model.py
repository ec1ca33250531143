"""Functions and their invocations: what is stored of them, names and limits, in Lambda's words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotFound, NotSupported
from clary.kernel.names import Ref
from clary.kernel.outputs import OutputParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

FUNCTION = "function"
INVOCATION = "function-invocation"
ENDED = frozenset({"Succeeded", "Failed"})
LARGEST_PAYLOAD = 6 << 20
LARGEST_EVENT = 1 << 20
MOST_LOSSES = 3
"""So many times the process of an invocation may vanish before it has failed."""
LATEST = "$LATEST"

_NAME = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?:(?P<account>[0-9]{12}):)?"
    r"(?:function:)?(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<version>\$LATEST|[A-Za-z0-9_-]+))?"
)
_HANDLER = re.compile(r"[A-Za-z_][\w./-]*\.[A-Za-z_]\w*")
_PYTHON = re.compile(r"python3\.[0-9]{1,2}")
_VARIABLE = re.compile(r"[A-Za-z]\w+")
_RESERVED = ("AWS_LAMBDA_", "_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")
_RESERVED_WORDS = frozenset(
    {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    | {"AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV", "TZ"}
)
_LARGEST_ENVIRONMENT = 4096


class Variables(msgspec.Struct, frozen=True, rename="pascal"):
    """A function's environment variables."""

    variables: dict[str, str] = {}


class Configuration(msgspec.Struct, frozen=True, rename="pascal"):
    """How a function runs; ``timeout`` in seconds, ``memory_size`` in MiB."""

    role: str
    handler: str = ""
    runtime: str = ""
    timeout: Annotated[int, msgspec.Meta(ge=1, le=900)] = 3
    memory_size: Annotated[int, msgspec.Meta(ge=128, le=10_240)] = 128
    environment: Variables = Variables()
    package_type: Literal["Zip", "Image"] = "Zip"
    layers: list[str] = []


class Code(msgspec.Struct, frozen=True):
    """Where a function's zip lies; ``sha256`` in hex."""

    bucket: str
    key: str
    sha256: str
    size_bytes: int


class Function(msgspec.Struct, frozen=True):
    """The body of a function's resource; ``request`` is the public document, without its code."""

    request: dict[str, Any]
    code: Code
    actor: str

    @property
    def configuration(self) -> Configuration:
        """How it runs."""
        return build(Configuration, self.request)


class Failure(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a caller is told of a handler that raised, or of a process that died."""

    error_message: str
    error_type: str
    request_id: str = ""
    stack_trace: list[str] = []


class Invocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an invocation's resource.

    Parameters
    ----------
    function
        As it was when it was invoked.
    payload
        The event, as JSON.
    uid
        The request id; names the process, with ``attempt``.
    again
        How many times more it is tried when the handler fails.
    kept
        Whether its resource stays when it has ended.
    outputs
        What a step reads from the result.
    result
        What the handler returned, as JSON.
    failure
        Why there is no result.
    """

    function: Function
    payload: str
    actor: str
    uid: str
    stream: str
    context: dict[str, Any] = {}
    attempt: int = 0
    losses: int = 0
    again: int = 0
    kept: bool = False
    outputs: list[OutputParameter] = []
    result: str = ""
    failure: Failure | None = None

    @property
    def process(self) -> str:
        """Name the process of the present attempt."""
        return f"{self.uid}-{self.attempt}-function"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants of a function.

    Parameters
    ----------
    payload
        The event, as JSON; empty for none.
    actor
        Who asks.
    again
        How often it is tried again when the handler fails.
    context
        The caller's client context.
    outputs
        What a step will read from the result.
    """

    payload: bytes
    actor: str
    again: int = 0
    context: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[OutputParameter] = ()


def read(resource: Resource) -> Function:
    """Read a function's body."""
    return build(Function, resource.body)


def log_group(name: str) -> str:
    """Name the log group of a function."""
    return f"/aws/lambda/{name}"


def parse_function(text: str, *, account: str, region: str, place: str = "FunctionName") -> Ref:
    """Read a function's name, partial ARN or ARN; of versions there is only ``$LATEST``.

    Raises
    ------
    InvalidInput
        It is none; names ``place``.
    NotFound
        It is another account's, region's, or another version.

    Examples
    --------
    >>> str(parse_function("123456789012:function:split", account="123456789012", region="r"))
    'function split'
    """
    match = _NAME.fullmatch(text)
    if match is None:
        legal = "a name of 1 to 64 letters, digits, - and _, or an ARN"
        raise InvalidInput(place, f"{text!r:.200}", legal=legal)
    elsewhere = match["account"] not in (None, account) or match["region"] not in (None, region)
    if elsewhere or match["version"] not in (None, LATEST):
        raise NotFound(f"function {text}")
    return Ref(account, region, FUNCTION, match["name"])


def check(request: JsonObject) -> Configuration:
    """Read how a function is to run.

    Raises
    ------
    InvalidInput
        A member is out of its bounds, or the handler or a variable has no legal name.
    NotSupported
        It wants what is not offered: images, layers, other languages.
    """
    view = build(Configuration, request)
    if view.package_type != "Zip":
        raise NotSupported("PackageType: functions of images are not offered", hint="use Zip")
    if view.layers:
        raise NotSupported("Layers: not offered", hint="put the packages into the zip")
    if not _PYTHON.fullmatch(view.runtime):
        legal = "python3.<minor>, which runs in the server's own Python"
        raise InvalidInput("Runtime", f"{view.runtime!r}", legal=legal)
    if not _HANDLER.fullmatch(view.handler):
        raise InvalidInput("Handler", f"{view.handler!r:.128}", legal="<file>.<function>")
    _check_variables(view.environment.variables)
    return view


def _check_variables(variables: dict[str, str]) -> None:
    for name in variables:
        if name in _RESERVED_WORDS or name.startswith(_RESERVED):
            raise InvalidInput("Environment.Variables", f"{name} is reserved")
        if not _VARIABLE.fullmatch(name):
            raise InvalidInput("Environment.Variables", f"{name!r:.100} is no variable's name")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > _LARGEST_ENVIRONMENT:
        legal = f"at most {_LARGEST_ENVIRONMENT} bytes"
        raise InvalidInput("Environment.Variables", f"{size} bytes", legal=legal)
