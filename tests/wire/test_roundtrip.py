"""Every operation of every service, through botocore's own serializer and parser and our codec."""

from __future__ import annotations

import datetime as dt
import io
import random
from urllib.parse import urlsplit

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import AWSRequest, prepare_request_dict
from botocore.compat import HTTPHeaders

from clary.doors.wire import codec, model, routing
from clary.doors.wire.message import Request

# Operations at the very address of another, which is the one that a server must answer.
SHADOWED = {
    "GetBucketLifecycle",
    "GetBucketNotification",
    "PutBucketLifecycle",
    "PutBucketNotification",
    "ListDirectoryBuckets",
}
DEEPEST = 6
TEXT = 's<&"é \t\n\u2028 \U0001f600]]>'


SCALARS = {
    "integer": lambda rng: rng.randrange(1, 99),
    "long": lambda rng: rng.randrange(1, 99),
    "float": lambda rng: rng.choice([1.5, 0.25]),
    "double": lambda rng: rng.choice([1.5, 0.25]),
    "boolean": lambda rng: rng.random() < 0.5,
    "timestamp": lambda rng: dt.datetime(2024, 5, 6, 7, 8, rng.randrange(60), tzinfo=dt.UTC),
    "blob": lambda rng: b"by\x00tes",
}


def sample(shape, rng, depth=DEEPEST, location=None, above=()):
    """Make a value of a shape with every member set, to a bounded depth."""
    match shape.type_name:
        case "structure":
            return sample_structure(shape, rng, depth, above)
        case "list":
            items = [sample(shape.member, rng, depth - 1, location, above) for _ in range(2)]
            return [item for item in items if item not in (None, {}, [])]
        case "map":
            items = {f"k{n}": sample(shape.value, rng, depth - 1, None, above) for n in range(2)}
            return {key: item for key, item in items.items() if item not in (None, {}, [])}
        case "string":
            return rng.choice(shape.enum or [f"s-{rng.randrange(99)}" if location else TEXT])
    return 204 if location == "statusCode" else SCALARS[shape.type_name](rng)


def sample_structure(shape, rng, depth, above):
    if shape.is_document_type:
        return {"a": [1, "b"]}
    names = list(shape.members)[:1] if shape.is_tagged_union else list(shape.members)
    value = {}
    for name in names:
        member = shape.members[name]
        if getattr(member, "is_eventstream", False) or member.serialization.get("eventstream"):
            continue
        nested = member.type_name in ("structure", "list", "map")
        if depth <= 0 and nested and name not in shape.required_members:
            continue
        if above.count(member.name) > 1:
            continue
        location = member.serialization.get("location")
        item = sample(member, rng, depth - 1, location, (*above, member.name))
        if item not in (None, {}, []):
            value[name] = item
    return value


def plain(value):
    match value:
        case dict():
            return {
                key: plain(item)
                for key, item in value.items()
                if item is not None and key != "ResponseMetadata"
            }
        case list() | tuple():
            return [plain(item) for item in value]
        case dt.datetime():
            return value.timestamp()
    return value.read() if hasattr(value, "read") else value


def to_request(params, operation, serializer):
    wire = serializer.serialize_to_request(params, operation)
    prepare_request_dict(wire, "http://localhost:1")
    sent = AWSRequest(
        method=wire["method"], url=wire["url"], data=wire["body"], headers=wire["headers"]
    ).prepare()
    body = sent.body or b""
    body = body.read() if hasattr(body, "read") else body
    url = urlsplit(sent.url)
    return Request(
        sent.method,
        url.path,
        url.query,
        {
            key.lower(): value.decode() if isinstance(value, bytes) else value
            for key, value in sent.headers.items()
        },
        (body.encode() if isinstance(body, str) else body,),
    )


def operations(service):
    document = botocore.loaders.Loader().load_service_model(service, "service-2")
    reference = botocore.model.ServiceModel(document, service)
    return [reference.operation_model(name) for name in reference.operation_names]


SPOKEN = [
    *((name, model.service(name).protocol) for name in model.SERVICES),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
]


@pytest.mark.parametrize(("name", "protocol"), SPOKEN)
def test_every_request_decodes_to_what_botocore_encoded(name, protocol):
    service, rng = model.service(name), random.Random(name)
    serializer = botocore.serialize.create_serializer(protocol, False)
    for operation in operations(name):
        params = sample(operation.input_shape, rng) if operation.input_shape else {}
        request = to_request(params, operation, serializer)
        route = routing.find_operation(service, request)
        if operation.name in SHADOWED:
            assert route.operation.name != operation.name
            continue
        assert route.operation.name == operation.name
        assert routing.spoken(service, request) == protocol
        got = codec.codec(name, protocol).decode(route.operation, request, route.labels)
        for key, value in got.items():
            if isinstance(value, tuple):  # a streaming body
                got[key] = b"".join(value)
        assert plain(got) == plain(params), operation.name


@pytest.mark.parametrize(("name", "protocol"), SPOKEN)
def test_every_result_decodes_by_botocore_to_what_was_encoded(name, protocol):
    service, rng = model.service(name), random.Random(name)
    parser = botocore.parsers.create_parser(protocol)
    for operation in operations(name):
        if operation.output_shape is None or operation.has_event_stream_output:
            continue
        if operation.name in SHADOWED:
            continue
        result = sample(operation.output_shape, rng)
        response = codec.codec(name, protocol).encode(
            service.operations[operation.name], result, "00000000-request"
        )
        headers = HTTPHeaders()
        for key, value in response.headers.items():
            headers[key] = value
        body = response.body
        parsed = parser.parse(
            {
                "headers": headers,
                "body": io.BytesIO(body) if operation.has_streaming_output else body,
                "status_code": response.status,
                "context": {"operation_name": operation.name},
            },
            operation.output_shape,
        )
        if operation.name == "GetBucketLocation":  # botocore reads this one from the raw document
            assert body.endswith(f">{result['LocationConstraint']}</LocationConstraint>".encode())
            continue
        assert plain(parsed) == plain(result), operation.name
