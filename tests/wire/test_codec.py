"""What the codec refuses and how, beyond the round trip."""

from __future__ import annotations

import contextlib
import datetime as dt
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire import codec, form_codec, json_codec, model, scalars, xml_codec
from clary.doors.wire.errors import WireError
from clary.doors.wire.message import Request
from clary.doors.wire.scalars import Mismatch

UTC = dt.UTC


def decode(service, operation, body=b"", *, query="", headers=None, labels=None):
    found = model.service(service).operations[operation]
    request = Request(found.method, "/", query, headers or {}, (body,))
    return codec.codec(service).decode(found, request, labels or {})


def encode(service, operation, result):
    found = model.service(service).operations[operation]
    return codec.codec(service).encode(found, result, "id")


def mismatch(*args, **kwargs):
    with pytest.raises(Mismatch) as error:
        decode(*args, **kwargs)
    return str(error.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "The body is not valid JSON"),
        (b"\xff", "The body is not valid JSON"),
        (b"[1]", "Expected an object, not the list [1]"),
        (b"null", "Expected an object, not null"),
        (b'{"TrainingJobName": 5}', "Expected a string, not the number 5 at 'TrainingJobName'"),
        (b'{"Tags": {}}', "Expected a list, not the object {} at 'Tags'"),
        (b'{"Tags": [{"Key": "a"}, {"Key": 1}]}', "at 'Tags.2.member.Key'"),
        (b'{"HyperParameters": {"a": 1}}', "at 'HyperParameters.a.member'"),
        (b'{"EnableNetworkIsolation": "true"}', "Expected a boolean, not the string 'true'"),
        (b'{"ResourceConfig": {"InstanceCount": 1.5}}', "Expected an integer, not the number 1.5"),
        (b'{"ResourceConfig": {"InstanceCount": true}}', "Expected an integer, not the boolean"),
        (b'{"ResourceConfig": {"InstanceCount": 2147483648}}', "is no 32-bit integer"),
        (b'{"a":' * 100_000, "The body is not valid JSON"),
    ],
)
def test_wrong_json_is_refused_with_the_place(body, says):
    assert says in mismatch("sagemaker", "CreateTrainingJob", body)


def test_unknown_and_null_members_are_left_out():
    body = b'{"TrainingJobName": "a", "Nonsense": 1, "RoleArn": null, "Tags": [null]}'
    assert decode("sagemaker", "CreateTrainingJob", body) == {
        "TrainingJobName": "a",
        "Tags": [None],
    }


def test_no_body_is_no_members():
    assert decode("sagemaker", "ListModels") == {}
    assert decode("sts", "GetCallerIdentity", b"Action=GetCallerIdentity") == {}


def test_a_whole_number_written_with_a_point_is_an_integer():
    body = b'{"ResourceConfig": {"InstanceCount": 2.0}}'
    assert decode("sagemaker", "CreateTrainingJob", body) == {
        "ResourceConfig": {"InstanceCount": 2}
    }


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1_700_000_000, dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1.5, dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        ("1700000000", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14T22:13:20Z", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14T23:13:20+01:00", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14", dt.datetime(2023, 11, 14, tzinfo=UTC)),
        ("Tue, 14 Nov 2023 22:13:20 GMT", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_timestamps_are_read_in_every_format(value, moment):
    assert scalars.read_time(value) == moment


@pytest.mark.parametrize(
    "value", ["", "x", "9" * 70, 1e300, math.nan, True, [], "2023-13-01", None]
)
def test_what_is_no_timestamp_is_refused(value):
    with pytest.raises(Mismatch, match="is no timestamp"):
        scalars.read_time(value)


@given(st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1)))
def test_timestamps_round_trip_to_the_millisecond(moment):
    moment = moment.replace(tzinfo=UTC)
    for form, precision_us in (("unixTimestamp", 1000), ("iso8601", 1000), ("rfc822", 10**6)):
        back = scalars.read_time(scalars.write_time(moment, form))
        assert abs(back - moment) < dt.timedelta(microseconds=precision_us)


def test_results_may_hold_timestamps_as_documents_do():
    for value in (dt.datetime(2024, 1, 1), "2024-01-01T00:00:00Z", 1_704_067_200):
        body = encode("sagemaker", "DescribeModel", {"CreationTime": value}).body
        assert msgspec.json.decode(body) == {"CreationTime": 1_704_067_200}


def test_members_the_shape_lacks_are_not_answered():
    body = encode("sagemaker", "CreateModel", {"ModelArn": "a", "Tags": [], "Other": None}).body
    assert body == b'{"ModelArn":"a"}'


def test_numbers_that_json_lacks_are_words():
    for value, word in ((math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")):
        metric = {"FinalMetricDataList": [{"MetricName": "m", "Value": value}]}
        body = encode("sagemaker", "DescribeTrainingJob", metric).body
        assert msgspec.json.decode(body)["FinalMetricDataList"][0]["Value"] == word


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<a", "not well-formed XML"),
        (b"<a></b>", "not well-formed XML"),
        (b"text", "not well-formed XML"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type declaration"),
        (b"<a>" * 100 + b"</a>" * 100, "nested deeper"),
        (b"<D><Quiet>maybe</Quiet></D>", "neither true nor false at 'Quiet'"),
        (b"<D><Object><Size>x</Size></Object></D>", "is no long at 'Objects.1.member.Size'"),
    ],
)
def test_wrong_xml_is_refused_with_the_place(body, says):
    labels = {"Bucket": "b"}
    found = mismatch("s3", "DeleteObjects", body, labels=labels)
    assert says in found


@given(st.binary(max_size=60))
def test_hostile_documents_never_break_the_parsers(body):
    for parse in (xml_codec.parse, json_codec.parse, form_codec.parse):
        with contextlib.suppress(Mismatch):
            parse(body)
    for service, operation in (("s3", "DeleteObjects"), ("sts", "AssumeRole")):
        with contextlib.suppress(Mismatch):
            decode(service, operation, body, labels={"Bucket": "b"})


@given(st.dictionaries(st.text("Tags.member1Key", max_size=14), st.text("a1", max_size=2)))
def test_hostile_forms_never_break_the_reader(form):
    with contextlib.suppress(Mismatch):
        form_codec.FormReader(model.service("sts").shapes).read("AssumeRoleRequest", form)


def test_forms_read_lists_in_the_order_of_their_numbers():
    form = {f"Tags.member.{n}.Key": str(n) for n in (10, 9, 1)}
    form |= {f"Tags.member.{n}.Value": "v" for n in (10, 9, 1)} | {"TagsX": "", "RoleArn": "r"}
    read = form_codec.FormReader(model.service("sts").shapes).read("AssumeRoleRequest", form)
    assert [tag["Key"] for tag in read["Tags"]] == ["1", "9", "10"]
    assert read["RoleArn"] == "r"


def test_a_form_with_too_many_members_is_refused():
    with pytest.raises(Mismatch, match="not a form"):
        form_codec.parse(b"&".join(b"a%d=b" % n for n in range(20_000)))
    with pytest.raises(Mismatch, match="nested deeper"):
        form_codec.FormReader(model.service("sts").shapes).read(
            "AssumeRoleRequest", {"a." * 99: ""}
        )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("max-keys=x", "Value 'x' is no integer at 'MaxKeys'"),
        ("max-keys=99999999999", "is no 32-bit integer at 'MaxKeys'"),
        ("prefix=%ff", "The query string is malformed"),
    ],
)
def test_wrong_query_members_are_refused_with_the_place(query, says):
    assert says in mismatch("s3", "ListObjects", query=query, labels={"Bucket": "b"})


def test_a_path_that_is_not_utf_8_is_refused():
    labels = {"Bucket": "b", "Key": "%ff"}
    assert mismatch("s3", "GetObject", labels=labels) == "The path is not UTF-8 at 'Key'"


def test_keys_are_read_as_they_were_named():
    labels = {"Bucket": "b", "Key": "a%2Fb%20c+d//%C3%A9"}
    assert decode("s3", "GetObject", labels=labels)["Key"] == "a/b c+d//é"


def test_streams_pass_through_unread():
    found = model.service("s3").operations["PutObject"]
    pieces = iter([b"a", b"b"])
    labels = {"Bucket": "b", "Key": "k"}
    params = codec.codec("s3").decode(found, Request("PUT", "/b/k", "", {}, pieces), labels)
    assert params["Body"] is pieces


def test_s3_documents_have_their_names_and_namespace():
    body = encode("s3", "ListObjectsV2", {"Name": "b", "Contents": [{"Key": "a<b>\r\x01"}]}).body
    assert body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Contents><Key>a&lt;b&gt;&#xD;\xef\xbf\xbd</Key></Contents><Name>b</Name>"
        b"</ListBucketResult>"
    )
    body = encode("s3", "GetBucketLocation", {"LocationConstraint": None}).body
    assert body.endswith(
        b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>'
    )


def test_a_part_of_an_object_is_partial_content():
    result = {"ContentRange": "bytes 0-0/2", "ContentLength": 1, "Body": iter([b"a"])}
    response = encode("s3", "GetObject", result)
    assert response.status == 206
    assert response.headers["Content-Length"] == "1"


@pytest.mark.parametrize(
    ("service", "operation", "code", "status", "body"),
    [
        ("sagemaker", "DescribeModel", "ValidationException", 400, b'"__type":"Validation'),
        ("s3", "GetObject", "NoSuchKey", 404, b"<Error><Code>NoSuchKey</Code><Message>a &lt;b&gt;"),
        ("iam", "GetRole", "NoSuchEntity", 404, b"<Error><Type>Sender</Type><Code>NoSuchEntity"),
        ("sagemaker-featurestore-runtime", "GetRecord", "ResourceNotFound", 404, b'"__type":'),
        ("sts", "AssumeRole", "ServiceUnavailable", 503, b"<Type>Receiver</Type>"),
    ],
)
def test_errors_are_written_as_each_protocol_does(service, operation, code, status, body):
    error = WireError(code, "a <b>", 503 if code == "ServiceUnavailable" else 400)
    found = model.service(service).operations[operation]
    response = codec.encode_error(error, service, found, "id")
    assert response.status == status
    assert body in response.body
