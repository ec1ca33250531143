"""Functions: make, change, look, delete; invoking them is in ``invocations``."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from clary.functions import model, packages
from clary.functions.model import Code, Function
from clary.kernel.clock import now
from clary.kernel.codec import plain
from clary.kernel.errors import AlreadyExists, InvalidInput, LimitExceeded, NotFound
from clary.kernel.resource import Bucket, Event, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore
    from clary.kernel.resource import Page, Query

_NOT_KEPT = ("Code", "Tags", "Publish", "FunctionName", "ZipFile", "DryRun", "RevisionId")


class Functions:
    """The verbs of functions.

    Parameters
    ----------
    store, objects
        Where functions and their zips lie.
    """

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def create(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        """Make a function of the public create document.

        Raises
        ------
        InvalidInput, NotSupported, LimitExceeded
            The request or its code is not legal, too large, or not offered.
        AlreadyExists
            There is one of the name.
        """
        kept = _kept(request)
        model.check(kept)
        if self._store.get(ref) is not None:
            raise AlreadyExists(ref)
        code = self._keep(ref, request.get("Code") or {})
        at = now()
        body = plain(Function(kept, code, actor))
        with self._store.begin() as transaction:
            made = transaction.insert(Resource(ref, body, at, at, "Active"))
            transaction.tag(ref, dict(tags or {}))
            transaction.append(Event(at, actor, "function.created", ref, {"sha256": code.sha256}))
        return made

    def get(self, ref: Ref) -> Resource:
        """Read a function. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List functions."""
        return self._store.select(query)

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Read a function's tags. Raises NotFound."""
        self.get(ref)
        return self._store.tags(ref)

    def tag(self, ref: Ref, tags: Mapping[str, str | None], *, actor: str) -> None:
        """Set tags; None removes one. Raises NotFound."""
        self.get(ref)
        with self._store.begin() as transaction:
            transaction.tag(ref, tags)
            transaction.append(Event(now(), actor, "function.tagged", ref))

    def update_code(self, ref: Ref, source: JsonObject, *, actor: str) -> Resource:
        """Give a function other code; invocations under way keep what they have.

        Raises
        ------
        NotFound
            There is no such function.
        InvalidInput, LimitExceeded
            The code is no legal zip, or too large.
        """
        self.get(ref)
        code = self._keep(ref, source)
        return self._change(ref, actor, code=code)

    def update_configuration(self, ref: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Change the members given. Raises NotFound, InvalidInput, NotSupported."""
        whole = {**model.read(self.get(ref)).request, **_kept(request)}
        model.check(whole)
        return self._change(ref, actor, request=whole)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a function and its code. Raises NotFound."""
        with self._store.begin() as transaction:
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "function.deleted", ref))
        bucket = _bucket(ref)
        with suppress(NotFound):
            while found := self._objects.list(bucket, prefix=f"{ref.name}/").objects:
                for one in found:
                    self._objects.delete(bucket, one.key)

    def _change(self, ref: Ref, actor: str, **members: Any) -> Resource:
        with self._store.begin() as transaction:
            found = transaction.get(ref)
            if found is None:
                raise NotFound(ref)
            body = plain(msgspec.structs.replace(model.read(found), **members))
            detail = {"changed": sorted(members)}
            transaction.append(Event(now(), actor, "function.updated", ref, detail))
            return transaction.update(replace(found, body=body))

    def _keep(self, ref: Ref, source: JsonObject) -> Code:
        """Store a function's zip under its digest."""
        data = self._data(source)
        packages.check(data)
        sha256 = hashlib.sha256(data).hexdigest()
        code = Code(_bucket(ref), f"{ref.name}/{sha256}.zip", sha256, len(data))
        with suppress(AlreadyExists):
            self._objects.create_bucket(Bucket(code.bucket, ref.account, ref.region, now()))
        self._objects.put(code.bucket, code.key, [data])
        return code

    def _data(self, source: JsonObject) -> bytes:
        if (data := source.get("ZipFile")) is not None:
            return bytes(data)
        bucket, key = source.get("S3Bucket"), source.get("S3Key")
        if not bucket or not key:
            raise InvalidInput("Code", "is missing", legal="ZipFile, or S3Bucket and S3Key")
        try:
            size = self._objects.stat(bucket, key).size_bytes
            if size > packages.LARGEST_ZIP:
                raise LimitExceeded(f"the zip has {size} bytes; at most {packages.LARGEST_ZIP}")
            return b"".join(self._objects.read(bucket, key))
        except NotFound as error:
            raise InvalidInput("Code", error.message) from None


def _bucket(ref: Ref) -> str:
    return f"clary-functions-{ref.region}-{ref.account}"


def _kept(request: JsonObject) -> JsonObject:
    return {name: value for name, value in request.items() if name not in _NOT_KEPT}
