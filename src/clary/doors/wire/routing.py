"""Which operation of which service a request is for."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from clary.doors.wire import form_codec, model
from clary.doors.wire.errors import WireError
from clary.doors.wire.rest_codec import parse_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.message import Request
    from clary.doors.wire.model import Operation, Service

COVERAGE = "docs/reference/wire-coverage.md"
_SAGEMAKER_REST = ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics")
_TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "AmazonSQS": "sqs",
    "AWSEvents": "events",
    "AnyScaleFrontendService": "application-autoscaling",
    "AmazonAthena": "athena",
    "GraniteServiceVersion20100801": "cloudwatch",
}
_FORMS = ("sts", "iam", "cloudwatch")
_SIGNED = {"monitoring": "cloudwatch"}
"""Services that sign under another name than botocore calls them by."""
_CALLED = re.compile(r"/service/([A-Za-z0-9]+)/operation/([A-Za-z0-9]+)")
_ENDPOINT = re.compile(r"/endpoints/[^/]+/(async-)?invocations")
_LABEL = re.compile(r"(\{[^}]+\})")


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, and the labels in its path, still percent-encoded."""

    operation: Operation
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    operation: Operation
    literals: tuple[tuple[str, str], ...]
    queried: frozenset[str]
    headed: frozenset[str]

    @property
    def rank(self) -> tuple[bool, int]:
        asked = len(self.literals) + len(self.queried) + len(self.headed)
        return self.operation.deprecated, -asked

    def accepts(self, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> bool:
        return (
            all(
                key in query and (not value or query[key][0] == value)
                for key, value in self.literals
            )
            and self.queried <= query.keys()
            and self.headed <= headers.keys()
        )


class _RestRoutes:
    """The paths of a REST service, most literal first, with the operations at each."""

    def __init__(self, service: Service) -> None:
        self._service = service
        paths: dict[tuple[str, str], list[_Candidate]] = {}
        for operation in service.operations.values():
            uri, _, query = operation.uri.partition("?")
            paths.setdefault((operation.method, uri), []).append(self._candidate(operation, query))
        self._methods: dict[str, list[tuple[re.Pattern[str], list[_Candidate]]]] = {}
        for (method, uri), candidates in sorted(paths.items(), key=_by_literal_length):
            candidates.sort(key=lambda candidate: candidate.rank)
            self._methods.setdefault(method, []).append((_pattern(uri), candidates))

    def _candidate(self, operation: Operation, query: str) -> _Candidate:
        shape = self._service.shapes.get(operation.input or "", {})
        needed: dict[str, set[str]] = {"querystring": set(), "header": set()}
        for name in shape.get("required", ()):
            member = shape["members"][name]
            if member.get("location") in needed:
                needed[member["location"]].add(member["locationName"])
        return _Candidate(
            operation,
            literals=tuple(parse_qsl(query, keep_blank_values=True)),
            queried=frozenset(needed["querystring"]),
            headed=frozenset(name.lower() for name in needed["header"]),
        )

    def find(self, request: Request) -> Route | None:
        query = parse_query(request.query)
        for pattern, candidates in self._methods.get(request.method, ()):
            if match := pattern.fullmatch(request.path):
                for candidate in candidates:
                    if candidate.accepts(query, request.headers):
                        return Route(candidate.operation, match.groupdict())
        return None


def _by_literal_length(item: tuple[tuple[str, str], object]) -> int:
    return -len(_LABEL.sub("", item[0][1]))


def _pattern(uri: str) -> re.Pattern[str]:
    parts = []
    for part in _LABEL.split(uri.rstrip("/")):
        if part.startswith("{"):
            name, greedy = part[1:-1].rstrip("+"), part.endswith("+}")
            parts.append(f"(?P<{name}>{'.+' if greedy else '[^/]+'})")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts) + "/?", re.DOTALL)


@functools.cache
def _rest(name: str) -> _RestRoutes:
    return _RestRoutes(model.service(name))


def choose_service(request: Request, scope: str | None) -> str:
    """Name the service a request is for.

    By ``X-Amz-Target``, else by the service it was signed for, else by an endpoint's path or the
    form's ``Action``, else S3.

    Raises
    ------
    WireError
        It is for a service that clary does not offer.
    """
    if target := request.headers.get("x-amz-target"):
        prefix = target.partition(".")[0]
        if prefix not in _TARGETS:
            raise _not_offered(target)
        return _TARGETS[prefix]
    if scope == "sagemaker":
        found = (name for name in _SAGEMAKER_REST if _rest(name).find(request))
        return next(found, "sagemaker")
    if scope is not None:
        name = _SIGNED.get(scope, scope)
        if name not in model.SERVICES:
            raise _not_offered(scope)
        return name
    return _unsigned(request)


def _unsigned(request: Request) -> str:
    if "smithy-protocol" in request.headers and (called := _CALLED.fullmatch(request.path)):
        return _TARGETS.get(called[1], "s3")
    if request.method == "POST" and _ENDPOINT.match(request.path):
        return "sagemaker-runtime"  # S3 takes forms at a bucket itself, not below it
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        action = _action(request)
        return next((name for name in _FORMS if action in model.service(name).operations), "s3")
    return "s3"


def _action(request: Request) -> str:
    form = form_codec.parse(b"".join(request.body) or request.query.encode())
    return form.get("Action", "")


def _not_offered(what: str) -> WireError:
    return WireError("UnsupportedOperation", f"clary does not offer {what}; see {COVERAGE}", 501)


def spoken(service: Service, request: Request) -> str:
    """Say which of its protocols a service is spoken to in: older clients know older ones."""
    if service.protocol != model.CBOR or "smithy-protocol" in request.headers:
        return service.protocol
    return "json" if "x-amz-target" in request.headers else "query"


def find_operation(service: Service, request: Request) -> Route:
    """Find the operation of a service.

    Raises
    ------
    WireError
        The service has none at this address.
    """
    protocol = spoken(service, request)
    match protocol:
        case model.CBOR:
            called = _CALLED.fullmatch(request.path)
            name = called[2] if called else ""
        case "json":
            name = request.headers.get("x-amz-target", "").partition(".")[2]
        case "query":
            name = _action(request)
        case _:
            if route := _rest(service.name).find(request):
                return route
            if service.name == "s3":
                raise WireError("MethodNotAllowed", f"S3 has no {request.method} at this path", 405)
            name = ""
    if operation := service.operations.get(name):
        return Route(operation)
    what = f"operation {name[:128]!r}" if name else f"operation at {request.method} {request.path}"
    code = "InvalidAction" if protocol == "query" else "UnknownOperationException"
    raise WireError(code, f"{service.name} has no {what[:256]}", 400)
