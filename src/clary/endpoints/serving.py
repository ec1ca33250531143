"""The data plane: requests to models, without a look at the store on their way."""

from __future__ import annotations

import threading
import time
from random import random
from typing import TYPE_CHECKING

from clary.endpoints.invocations import LARGEST_BODY, Refused
from clary.endpoints.live import Live
from clary.endpoints.model import LOG_GROUP
from clary.endpoints.tracing import Took
from clary.kernel.errors import InvalidInput, LimitExceeded, ModelFailed, Unavailable
from clary.kernel.names import arn

if TYPE_CHECKING:
    from clary.endpoints.invocations import Invocation, Reply
    from clary.endpoints.live import Target, Tools
    from clary.endpoints.tracing import Spans
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

_LOOK_S = 0.1
_LOOK_SHARE = 20
"""A look at the store may take a 20th of the time between two of them."""
_UNUSED_S = 300.0
_LATER = "invoke it by InvokeEndpointAsync"


class Serving:
    """Answers the requests of this process.

    What it knows of an endpoint is read once and looked at again every tenth of a second. Old
    workers go on for longer than that, so that a request never meets one that is gone.

    Parameters
    ----------
    store
        Where endpoints and their fleets are.
    tools
        What a request needs on its way.
    """

    def __init__(self, store: MetadataStore, tools: Tools) -> None:
        self._store = store
        self._tools = tools
        self._live: dict[Ref, Live] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watch: threading.Thread | None = None

    def find(self, invocation: Invocation) -> Target | None:
        """Choose who answers, without waiting; None when that takes a look at the store."""
        live = self._live.get(invocation.endpoint)
        return None if live is None else live.pick(random(), invocation.variant)  # noqa: S311 - a share of requests, no secret

    def choose(self, invocation: Invocation) -> Target:
        """Choose who answers.

        Raises
        ------
        InvalidInput
            There is no such endpoint in service, or it has no such variant.
        """
        return self.find(invocation) or self._read(invocation)

    def invoke(self, invocation: Invocation) -> tuple[Target, Reply]:
        """Answer a request, and say who did.

        Raises
        ------
        InvalidInput
            There is no such endpoint in service, it has no such variant or model, its requests
            are asynchronous, or the body is over 6 MiB.
        LimitExceeded
            The variant answers as many requests at once as it may.
        ModelFailed
            The model refused the request, failed or took too long.
        Unavailable
            Nobody can answer now.
        """
        if len(invocation.body) > LARGEST_BODY:
            size = len(invocation.body)
            raise InvalidInput("Body", f"{size} bytes", legal=f"at most {LARGEST_BODY}")
        target = self.choose(invocation)
        if target.is_asynchronous:
            raise InvalidInput(
                "", f"Endpoint {invocation.endpoint.name} is asynchronous.", hint=_LATER
            )
        began = time.perf_counter()
        try:
            return target, self.answer(target, invocation, began)
        except Unavailable:
            again = self._read(invocation)
            if again is target:
                raise
            return again, self.answer(again, invocation, began)

    def answer(self, target: Target, invocation: Invocation, began: float) -> Reply:
        """Have ``target`` answer; ``began`` is when the request came, on ``perf_counter``."""
        if self._tools.spans is None:
            return self._ask(target, invocation, began)
        return self._traced(self._tools.spans, target, invocation, began)

    def _traced(self, spans: Spans, target: Target, invocation: Invocation, began: float) -> Reply:
        asked, status = time.perf_counter(), 500
        try:
            reply = self._ask(target, invocation, began)
            status = reply.status
        except ModelFailed as failed:
            status = failed.status
            raise
        except (Unavailable, LimitExceeded) as failed:
            status = 429 if isinstance(failed, LimitExceeded) else 503
            raise
        finally:
            took = Took(began, asked, time.perf_counter())
            spans.take(took.traced(invocation, target.variant, status))
        return reply

    def _ask(self, target: Target, invocation: Invocation, began: float) -> Reply:
        asked = target.enter()
        try:
            reply = target.ask(invocation)
        except Refused as refused:
            target.failed(began, asked, refused.status)
            raise ModelFailed(
                refused.status, refused.message[:1024], log=_log_of(invocation.endpoint)
            ) from None
        except (Unavailable, LimitExceeded):
            target.refused()
            raise
        except BaseException:
            target.failed(began, asked, 500)
            raise
        return target.answered(invocation, reply, began, asked)

    def refresh(self, endpoint: Ref) -> None:
        """Look at an endpoint now, so that the next request goes where it says."""
        with self._lock:
            if endpoint in self._live:
                self._look(endpoint)

    def close(self) -> None:
        """Let go of every worker."""
        self._stopping.set()
        if self._tools.spans is not None:
            self._tools.spans.close()
        if self._watch is not None:
            self._watch.join()
        with self._lock:
            for live in self._live.values():
                live.close()
            self._live.clear()

    def _read(self, invocation: Invocation) -> Target:
        """Look at the store, because nothing or too little is known yet."""
        ref = invocation.endpoint
        with self._lock:
            live = self._look(ref)
            if self._watch is None:
                self._watch = threading.Thread(target=self._keep, daemon=True, name="serving")
                self._watch.start()
        if live is None:
            raise InvalidInput("", f"Endpoint {ref.name} of account {ref.account} not found.")
        if target := live.pick(random(), invocation.variant):  # noqa: S311 - as in find
            return target
        if invocation.variant:
            legal = ", ".join(live.variants)
            raise InvalidInput(
                "TargetVariant", f"{invocation.variant!r} is no variant of {ref.name}", legal=legal
            )
        raise InvalidInput("", f"every variant of endpoint {ref.name} has the weight 0")

    def _look(self, ref: Ref) -> Live | None:
        """Bring what is known of an endpoint up to date; the caller holds the lock."""
        known = self._live.get(ref)
        found = self._store.get(ref)
        if found is None or not found.body.get("routes"):
            if known is not None:
                del self._live[ref]
                known.close()
            return None
        if known is None:
            known = self._live[ref] = Live(found, self._tools, self._store)
        else:
            known.refresh(found)
        return known

    def _keep(self) -> None:
        """Look again and again at the endpoints in use."""
        took = 0.0
        while not self._stopping.wait(max(_LOOK_S, took * _LOOK_SHARE)):
            began = time.perf_counter()
            for ref in list(self._live):
                with self._lock:
                    live = self._live.get(ref)
                    if live is not None and live.unused_s() > _UNUSED_S:
                        del self._live[ref]
                        live.close()
                        self._tools.meters.forget(ref)
                    elif live is not None:
                        self._look(ref)
            took = time.perf_counter() - began


def _log_of(endpoint: Ref) -> str:
    return arn(endpoint.sibling("log-group", LOG_GROUP + endpoint.name))
