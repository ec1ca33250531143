"""PutRecord without the general way: a record that is plain is read, checked and written at once.

It waits for the disk, in a thread. Whatever is not plain, and every refusal, is the gateway's.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from clary.doors.wire import model
from clary.doors.wire.at_once import Callers, request_id
from clary.doors.wire.codec import encode_error
from clary.doors.wire.errors import translate
from clary.doors.wire.message import Response
from clary.features.model import FEATURE_GROUP
from clary.kernel.errors import ClaryError
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.wire.authentication import Authenticator
    from clary.doors.wire.message import Request
    from clary.features.model import Record
    from clary.features.records import Group, Store
    from clary.platform import Platform

_AT = "/FeatureGroup/"
_SERVICE = "sagemaker-featurestore-runtime"
_SPECIAL = ("x-amz-target", "content-encoding")
_STORES: dict[str, Store] = {"OnlineStore": "online", "OfflineStore": "offline"}
_log = logging.getLogger(__name__)


class _Value(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True, gc=False):
    """The value of a feature."""

    feature_name: str
    value_as_string: str


class _Put(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """A PutRecord whose values are no collections."""

    record: Annotated[list[_Value], msgspec.Meta(min_length=1)]
    target_stores: Annotated[
        list[Literal["OnlineStore", "OfflineStore"]], msgspec.Meta(min_length=1, max_length=2)
    ] = msgspec.field(default_factory=list)


_read = msgspec.json.Decoder(_Put).decode


class RecordWrites:
    """Answers ``PUT /FeatureGroup/<name>`` where that is plain."""

    def __init__(self, platform: Platform, authenticator: Authenticator) -> None:
        self._callers = Callers(platform, authenticator, _SERVICE)
        self._features = platform.features
        self._throughput = platform.feature_store.throughput
        self._operation = model.service(_SERVICE).operations["PutRecord"]

    def answer(self, request: Request) -> Response | None:
        """Write a record; None when the gateway is to do it: then nothing has happened."""
        if not _is_plain(request):
            return None
        began = time.perf_counter()
        try:
            asked = _read(b"".join(request.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        where = self._callers.who(request)
        values = {one.feature_name: one.value_as_string for one in asked.record}
        if where is None or len(values) != len(asked.record):
            return None
        if not "".join(values.values()).isprintable():
            return None
        stores = [_STORES[word] for word in asked.target_stores]
        ref = Ref(*where, FEATURE_GROUP, request.path[len(_AT) :])
        try:
            group, record = self._features.checked(ref, values, is_text=True)
            if "online" in group.stores(stores):
                self._throughput.write(group, [record])
        except ClaryError:
            return None
        response = self._written(group, record, stores)
        took_ms = (time.perf_counter() - began) * 1000
        _log.info("PutRecord %s %d %.1f ms", ref.name, response.status, took_ms)
        return response

    def _written(self, group: Group, record: Record, stores: Sequence[Store]) -> Response:
        named = request_id()
        try:
            self._features.write(group, [record], stores)
        except ClaryError as error:
            wire_error = translate(error, _SERVICE, self._operation)
            return encode_error(wire_error, _SERVICE, self._operation, named)
        return Response(200, {"x-amzn-RequestId": named})


def _is_plain(request: Request) -> bool:
    if request.method != "PUT" or not request.path.startswith(_AT) or request.query:
        return False
    return isinstance(request.body, tuple) and not any(name in request.headers for name in _SPECIAL)
