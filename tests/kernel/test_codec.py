import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.codec import build, digest, from_json, plain, to_json
from clary.kernel.errors import InvalidInput

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


class Channel(msgspec.Struct, frozen=True, rename="pascal"):
    channel_name: str
    instance_count: int = 1


class Job(msgspec.Struct, frozen=True, rename="pascal"):
    channels: list[Channel]


class Mode(msgspec.Struct, frozen=True, rename="pascal"):
    upload_mode: Literal["EndOfJob", "Continuous"] | None = None


class Modes(msgspec.Struct, frozen=True, rename="pascal"):
    one: Mode | None = None
    many: tuple[Mode, ...] = ()
    by_name: dict[str, Mode] = {}


@dataclass(frozen=True)
class Moment:
    at: datetime


def shuffled(value):
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("holder", "path"),
    [
        ({"One": {"UploadMode": "Never"}}, "Modes.One.UploadMode"),
        ({"Many": [{}, {"UploadMode": "Never"}]}, "Modes.Many[1].UploadMode"),
        ({"ByName": {"a": {"UploadMode": "Never"}}}, "Modes.ByName[...].UploadMode"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_that_are(holder, path):
    with pytest.raises(InvalidInput) as refused:
        build(Modes, holder, field="Modes")
    message = f"{path}: Invalid enum value 'Never'; legal: Continuous, EndOfJob"
    assert refused.value.message == message


@given(DOCUMENTS)
def test_a_document_survives_as_json(document):
    assert from_json(to_json(document)) == document


@given(DOCUMENTS)
def test_a_digest_does_not_depend_on_the_order_of_keys(document):
    assert digest(document) == digest(shuffled(document))


@given(DOCUMENTS, DOCUMENTS)
def test_digests_differ_where_documents_do(one, other):
    assert (digest(one) == digest(other)) == (to_json(shuffled(one)) == to_json(shuffled(other)))


@given(st.binary() | st.text())
def test_any_text_is_json_or_refused(data):
    with contextlib.suppress(InvalidInput):
        from_json(data)


def test_deep_nesting_is_refused():
    with pytest.raises(InvalidInput):
        from_json("[" * 100_000)


def test_a_typed_view_is_built():
    job = build(Job, {"Channels": [{"ChannelName": "train", "InstanceCount": "2"}], "Else": 1})
    assert job == Job([Channel("train", 2)])
    assert plain(job) == {"Channels": [{"ChannelName": "train", "InstanceCount": 2}]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"Channels": [{"ChannelName": 1}]}, "Request.Channels[0].ChannelName"),
        ({"Channels": [{}]}, "Request.Channels[0]"),
        ({}, "Request"),
        ([], "Request"),
    ],
)
def test_the_place_of_what_is_wrong_is_named(document, field):
    with pytest.raises(InvalidInput) as caught:
        build(Job, document, field="Request")
    assert caught.value.field == field


def test_moments_are_written_as_text():
    assert plain(Moment(datetime(2026, 1, 2, tzinfo=UTC))) == {"at": "2026-01-02T00:00:00Z"}
