"""GetRecord and BatchGetRecord answered on the event loop, because that takes microseconds.

What is not plain takes the ordinary way through the gateway, which says the same in every case: so
do groups that are not at hand or have limits, keys and names that need more than a look, many or
large records, and every error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from clary.doors.wire.at_once import Callers, head, request_id
from clary.doors.wire.record_documents import RecordWriter
from clary.doors.wire.rest_codec import parse_query
from clary.doors.wire.scalars import Mismatch
from clary.features.model import FEATURE_GROUP
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.wire.authentication import Authenticator
    from clary.features.model import Record
    from clary.features.records import Group
    from clary.platform import Platform

ONE, MANY = b"/FeatureGroup/", b"/BatchGetRecord"
_SERVICE = "sagemaker-featurestore-runtime"
_SPECIAL = (b"x-amz-target", b"content-encoding")
"""Headers that make a request another than its path says."""
_KEY, _NAME = "RecordIdentifierValueAsString", "FeatureName"
_MOST_WRITERS = 1024
_MOST_IN_QUERY = 8 << 10


class _Identifier(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """What is asked of one group."""

    feature_group_name: str
    keys: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)] = msgspec.field(
        name="RecordIdentifiersValueAsString"
    )
    feature_names: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None


class _Asked(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """A BatchGetRecord."""

    identifiers: Annotated[list[_Identifier], msgspec.Meta(min_length=1, max_length=100)]


_read = msgspec.json.Decoder(_Asked).decode
_json = msgspec.json.Encoder().encode


class RecordReads:
    """Answers ``GET /FeatureGroup/<name>`` and ``POST /BatchGetRecord`` where it can be at once."""

    def __init__(self, platform: Platform, authenticator: Authenticator) -> None:
        self._callers = Callers(platform, authenticator, _SERVICE)
        self._records = platform.feature_store.quick_records
        self._writers: dict[tuple[str, int, tuple[str, ...]], RecordWriter] = {}

    def answer(
        self, url: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> tuple[bytes, bytes] | None:
        """Answer a request: the head, up to but without its last line, and the body.

        None when it is to go the ordinary way; then nothing has happened.

        Parameters
        ----------
        url
            Path and query, as they came.
        headers
            Names in lower case.
        """
        given = dict(headers)
        if len(given) != len(headers) or any(name in given for name in _SPECIAL):
            return None
        asked = _batch(body) if url == MANY else None if body else _one(url)
        if asked is None:
            return None
        where = self._callers.where("POST" if url == MANY else "GET", url, given, body)
        content = None if where is None else self._content(asked, *where, is_batch=url == MANY)
        if content is None:
            return None
        named = {"x-amzn-requestid": request_id(), "content-type": "application/json"}
        return head("200 OK", named, len(content)), content

    def _content(
        self, asked: Sequence[_Identifier], account: str, region: str, *, is_batch: bool
    ) -> bytes | None:
        plan: list[tuple[_Identifier, Group, RecordWriter]] = []
        for one in asked:
            ref = Ref(account, region, FEATURE_GROUP, one.feature_group_name)
            group = self._records.group(ref)
            writer = None if group is None else self._writer(group, tuple(one.feature_names or ()))
            if group is None or writer is None:
                return None
            plan.append((one, group, writer))
        found = self._records.find([(group, one.keys) for one, group, _ in plan])
        if found is None:
            return None
        return _many(plan, found) if is_batch else _single(plan[0][2], found[0])

    def _writer(self, group: Group, names: tuple[str, ...]) -> RecordWriter | None:
        """Give what writes features of a group; None when one is unknown."""
        key = (group.uid, group.schema.version, names)
        writer = self._writers.get(key)
        if writer is None:
            if any(name not in group.readers for name in names):
                return None
            if len(self._writers) >= _MOST_WRITERS:  # clients' choices must not fill the memory
                self._writers.clear()
            writer = self._writers[key] = RecordWriter(group.schema, names)
        return writer


def _batch(body: bytes) -> Sequence[_Identifier] | None:
    try:
        return _read(body).identifiers
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _one(url: bytes) -> Sequence[_Identifier] | None:
    """Read the path and query of a GetRecord."""
    path, _, query = url[len(ONE) :].decode("latin-1").partition("?")
    if len(query) > _MOST_IN_QUERY:
        return None
    if "%" in query or "+" in query or "&&" in query:
        try:
            found = parse_query(query)
        except Mismatch:
            return None
    else:
        found = {}
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            found.setdefault(name, []).append(value)
    keys, names = found.pop(_KEY, []), found.pop(_NAME, None)
    return None if found or len(keys) != 1 else [_Identifier(path, keys, names)]


def _single(writer: RecordWriter, record: Record | None) -> bytes:
    if record is None:
        return b"{}"
    return b'{"Record":' + writer.write([record.values])[0] + b"}"


def _many(
    plan: Sequence[tuple[_Identifier, Group, RecordWriter]], found: Sequence[Record | None]
) -> bytes:
    written: list[bytes] = []
    begin = 0
    for one, _, writer in plan:
        records = found[begin : begin + len(one.keys)]
        begin += len(records)
        name = b'{"FeatureGroupName":%b,"%b":' % (_json(one.feature_group_name), _KEY.encode())
        keys = [key for key, record in zip(one.keys, records, strict=True) if record is not None]
        texts = writer.write([record.values for record in records if record is not None])
        written += [
            b'%b%b,"Record":%b}' % (name, _json(key), text)
            for key, text in zip(keys, texts, strict=True)
        ]
    return b'{"Records":[' + b",".join(written) + b'],"Errors":[],"UnprocessedIdentifiers":[]}'
