"""Asynchronous inference: requests that wait in the store, and answers that become objects.

A request is a resource below its endpoint's queue before it is answered with 202. One worker holds
a queue at a time and gives its requests, oldest first, to as many instances as there are. Where it
dies, the next one goes on: an answer that is there already is not asked for again, and the end of
a request, its notification and its event are one transaction.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.endpoints import body, notifications
from clary.endpoints.async_requests import (
    LARGEST_INPUT,
    AsyncConfig,
    AsyncRequest,
    Places,
    config_of,
    read,
)
from clary.endpoints.invocations import Invocation, Reply
from clary.endpoints.meters import NAMESPACE
from clary.jobs.contract import split_uri
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded, NotFound, Unavailable
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from clary.endpoints.serving import Serving
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.metrics.recorder import Recorder, Series
    from clary.queues.messages import Messages

QUEUE = "async-queue"
INVOCATION = "async-invocation"
MOST_AT_ONCE = 16
_METRICS = (
    *("ApproximateBacklogSize", "ApproximateBacklogSizePerInstance"),
    "HasBacklogWithoutCapacity",
)
_MARK = "clary-inference"
"""Metadata of an answer's object: which request it answers."""
_LOOK_S = 0.5
_AGAIN = timedelta(seconds=1.0)
_log = logging.getLogger(__name__)


class Waiting(Struct, frozen=True):
    """The body of an ``async-invocation``.

    Parameters
    ----------
    request
        The InvokeEndpointAsync document, without its body.
    uid
        Names it for ever.
    actor
        Who asked.
    received_at
        When.
    places
        Where its answer goes.
    config
        What the endpoint said of asynchronous requests then.
    payload
        The request's own body, where it has one, as base64.
    """

    request: dict[str, Any]
    uid: str
    actor: str
    received_at: datetime
    places: Places
    config: AsyncConfig
    payload: str = ""

    @property
    def inference_id(self) -> str:
        """The caller's name of it, or ours."""
        return str(self.request.get("InferenceId") or self.uid)


@dataclass(frozen=True, slots=True)
class Tools:
    """What asynchronous requests work with."""

    store: MetadataStore
    objects: ObjectStore
    serving: Serving
    messages: Messages
    recorder: Recorder


class AsyncInvocations:
    """The asynchronous requests of a home; ``run`` is the worker's handler of ``QUEUE``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._measured: dict[Ref, dict[str, Series]] = {}

    def accept(self, endpoint: Ref, request: JsonObject, *, actor: str) -> Waiting:
        """Keep a request; a worker has it answered.

        Raises
        ------
        InvalidInput
            There is no such endpoint in service, it is not asynchronous, or the request is
            malformed.
        """
        asked = {name: value for name, value in request.items() if name != "Body"}
        view, uid, at = read(request), str(uuid.uuid4()), now()
        with self._tools.store.begin() as change:
            config = config_of(change.get(endpoint), endpoint)
            places = config.places(view, uid)
            payload = base64.b64encode(view.body).decode()
            one = Waiting(asked, uid, actor, at, places, config, payload)
            queue = endpoint.sibling(QUEUE, endpoint.name)
            made = endpoint.sibling(INVOCATION, f"{endpoint.name}/{uid}")
            change.insert(Resource(made, plain(one), at, at, "Waiting", queue))
            _count(change, queue, 1)
            change.append(Event(at, actor, f"{INVOCATION}.created", made))
        self._begin_to_measure(queue)
        return one

    def backlog(self, endpoint: Ref) -> int:
        """Count the requests of an endpoint that have not ended."""
        queue = self._tools.store.get(endpoint.sibling(QUEUE, endpoint.name))
        return int(queue.body["waiting"]) if queue else 0

    def run(self, queue: Resource, stopping: threading.Event) -> datetime | None:
        """Have the requests of a queue answered until none is left."""
        under_way: dict[Ref, Future[None]] = {}
        self._begin_to_measure(queue.ref)
        while not stopping.is_set():
            width = self._width(queue.ref)
            free = [one for one in self._oldest(queue.ref, width) if one.ref not in under_way]
            for one in free[: width - len(under_way)]:
                under_way[one.ref] = _started(self._answer, one, stopping)
            if not under_way:
                return self._rest(queue.ref)
            done, _ = wait(under_way.values(), _LOOK_S, FIRST_COMPLETED)
            later = [ref for ref, future in under_way.items() if future in done]
            failures = [under_way.pop(ref).exception() for ref in later]
            if any(failures) and not under_way:
                return now() + _AGAIN
        return now()

    def _width(self, queue: Ref) -> int:
        """Say how many requests may be under way: as many as there are instances."""
        found = self._tools.store.get(queue.sibling("endpoint", queue.name))
        served = body.read(found).served if found else None
        instances = sum(one.count for one in served.variants) if served else 1
        return min(MOST_AT_ONCE, max(1, instances))

    def _oldest(self, queue: Ref, width: int) -> list[Resource]:
        query = Query(INVOCATION, parent=queue, descending=False, limit=width + MOST_AT_ONCE)
        return list(self._tools.store.select(query).items)

    def _rest(self, queue: Ref) -> datetime | None:
        """Let go of a queue; it is removed with its endpoint."""
        if self._tools.store.get(queue.sibling("endpoint", queue.name)) is None:
            with self._tools.store.begin() as change:
                found = change.get(queue)
                if found is not None and found.body["waiting"] == 0:
                    change.delete(queue)
        return None

    def _begin_to_measure(self, queue: Ref) -> None:
        if queue in self._measured:
            return
        recorder, where = self._tools.recorder, {"EndpointName": queue.name}
        if not self._measured:
            recorder.poll(self._measure)
        self._measured[queue] = {
            name: recorder.series(NAMESPACE, name, where, "Count", near=queue) for name in _METRICS
        }

    def _measure(self) -> None:
        """Count what waits, each second, for as long as the endpoint is there."""
        for queue, series in list(self._measured.items()):
            found = self._tools.store.get(queue)
            endpoint = self._tools.store.get(queue.sibling("endpoint", queue.name))
            if found is None or endpoint is None:
                continue
            served = body.read(endpoint).served
            instances = sum(one.count for one in served.variants) if served else 0
            waiting = float(found.body["waiting"])
            series["ApproximateBacklogSize"].add(waiting)
            series["ApproximateBacklogSizePerInstance"].add(waiting / max(1, instances))
            series["HasBacklogWithoutCapacity"].add(float(waiting > 0 and not instances))

    def _answer(self, resource: Resource, stopping: threading.Event) -> None:
        """Have one request answered. Raises Unavailable: then it is asked again later."""
        one = build(Waiting, resource.body)
        endpoint = resource.ref.sibling("endpoint", resource.ref.name.partition("/")[0])
        reply, failure = self._reply(endpoint, one)
        if stopping.is_set():
            return  # somebody else may have it in hand, and what failed may have been the end
        try:
            if reply is not None:
                self._keep(one.places.output, one, reply)
        except ClaryError as error:
            reply, failure = None, error.message
        if reply is None:
            self._fail(resource, endpoint, one, failure)
        else:
            self._end(resource, endpoint, one, reply, None)

    def _reply(self, endpoint: Ref, one: Waiting) -> tuple[Reply | None, str]:
        """Find or make the answer of a request; else say why there is none."""
        try:
            return self._earlier(one) or self._asked(endpoint, one), ""
        except Unavailable:
            if self._seconds_left(one) > 0:
                raise
            return None, "no worker has answered before its time was over"
        except ClaryError as error:
            return None, error.message
        except Exception as error:
            _log.exception("a request of %s failed", endpoint)
            return None, f"internal failure: {type(error).__name__}"

    def _earlier(self, one: Waiting) -> Reply | None:
        """Find the answer that somebody wrote who died before he could say so."""
        if not one.places.output:
            return None
        bucket, key = split_uri(one.places.output, field="OutputLocation")
        try:
            info = self._tools.objects.stat(bucket, key)
        except NotFound:
            return None
        if info.metadata.get(_MARK) != one.uid:
            return None
        data = b"".join(self._tools.objects.read(bucket, key))
        return Reply(data, info.headers.get("content-type", ""))

    def _asked(self, endpoint: Ref, one: Waiting) -> Reply:
        if self._seconds_left(one) <= 0:
            raise InvalidInput("", "its time to live was over before a worker was free")
        data, content_type = self._input(one)
        view = build(AsyncRequest, one.request)
        invocation = Invocation(
            endpoint,
            data,
            content_type=view.content_type or content_type,
            accept=view.accept,
            inference_id=one.inference_id,
            custom_attributes=view.custom_attributes,
            timeout_s=float(view.invocation_timeout_seconds),
        )
        serving = self._tools.serving
        reply = serving.answer(serving.choose(invocation), invocation, time.perf_counter())
        whole = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        return replace(reply, body=whole)

    def _input(self, one: Waiting) -> tuple[bytes, str]:
        """Read what is asked, and its content type."""
        if one.payload:
            return base64.b64decode(one.payload), ""
        uri = one.request["InputLocation"]
        bucket, key = split_uri(uri, field="InputLocation")
        info = self._tools.objects.stat(bucket, key)
        if info.size_bytes > LARGEST_INPUT:
            raise LimitExceeded(f"{uri} has {info.size_bytes} bytes; at most {LARGEST_INPUT}")
        chunks = self._tools.objects.read(bucket, key, expected=info.etag)
        return b"".join(chunks), info.headers.get("content-type", "")

    def _seconds_left(self, one: Waiting) -> float:
        view = build(AsyncRequest, one.request)
        return view.request_ttl_seconds - (now() - one.received_at).total_seconds()

    def _keep(self, uri: str, one: Waiting, reply: Reply) -> None:
        if not uri or not isinstance(reply.body, bytes):
            return
        bucket, key = split_uri(uri, field="S3OutputPath")
        headers = {"content-type": reply.content_type} if reply.content_type else {}
        self._tools.objects.put(
            bucket, key, [reply.body], headers=headers, metadata={_MARK: one.uid}
        )

    def _fail(self, resource: Resource, endpoint: Ref, one: Waiting, reason: str) -> None:
        said = Reply(reason.encode(), "text/plain")
        try:
            self._keep(one.places.failure, one, said)
        except ClaryError as error:  # the bucket is gone: the event still tells
            reason = f"{reason} ({one.places.failure}: {error.message})"
        self._end(resource, endpoint, one, said, reason)

    def _end(
        self, resource: Resource, endpoint: Ref, one: Waiting, reply: Reply, failure: str | None
    ) -> None:
        """Tell how a request ended, and forget it: once, whoever else has tried."""
        at = now()
        told = notifications.document(
            endpoint,
            one.request,
            received_at=one.received_at,
            ended_at=at,
            inference_id=one.inference_id,
            failure=failure,
            response=one.places.response(reply, failed=failure is not None),
        )
        with self._tools.store.begin() as change:
            if change.get(resource.ref) is None:
                return
            change.delete(resource.ref)
            _count(change, endpoint.sibling(QUEUE, endpoint.name), -1)
            topic, message = one.config.notification(told, reply, failed=failure is not None)
            problem = topic and notifications.tell(
                self._tools.messages, topic, message, endpoint, transaction=change
            )
            detail = {**told, **({"notNotified": problem} if problem else {})}
            end = "succeeded" if failure is None else "failed"
            change.append(Event(at, one.actor, f"{INVOCATION}.{end}", resource.ref, detail))


def _started(target: Any, *arguments: Any) -> Future[None]:
    """Call in a thread that does not keep the process alive, as those of an executor do."""
    future: Future[None] = Future()

    def call() -> None:
        try:
            target(*arguments)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=call, name="async-invocation", daemon=True).start()
    return future


def _count(change: Transaction, queue: Ref, more: int) -> None:
    """Count the requests of a queue; makes it, and wakes whoever works on it."""
    found = change.get(queue)
    if found is None:
        at = now()
        change.insert(Resource(queue, {"waiting": max(0, more)}, at, at), due=True)
        return
    change.update(replace(found, body={"waiting": max(0, found.body["waiting"] + more)}))
    if more > 0:
        change.wake(queue)
