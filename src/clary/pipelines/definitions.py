"""Definitions of pipelines, read and checked once in a process."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from clary.kernel.errors import InvalidInput, NotFound, NotSupported
from clary.pipelines.checks import check
from clary.pipelines.model import MAX_BYTES, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.steps import StepKind
    from clary.pipelines.checks import KnownProperty
    from clary.pipelines.model import Definition
    from clary.pipelines.requests import Location, PipelineRequest

T = TypeVar("T")
_MOST = 16


class Definitions:
    """Definitions by the digest of their text.

    Parameters
    ----------
    store, objects
        Where versions lie, and where large definitions do.
    kinds
        The step kind of each step type.
    known
        Raises InvalidInput for a path of properties that no step of a type ever has.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        kinds: Mapping[str, StepKind],
        known: KnownProperty,
    ) -> None:
        self._store = store
        self._objects = objects
        self._kinds = kinds
        self._known = known
        self._lock = threading.Lock()
        self._read: OrderedDict[str, Definition] = OrderedDict()
        self._sound: OrderedDict[str, None] = OrderedDict()

    def given(self, view: PipelineRequest) -> tuple[str, str]:
        """Read the definition that a request carries or names; returns its text and digest.

        Raises
        ------
        InvalidInput, NotSupported
            There is none, or it cannot run; names the step and the member.
        """
        text, location = view.pipeline_definition, view.pipeline_definition_s3_location
        if (text is None) == (location is None):
            legal = "either PipelineDefinition or PipelineDefinitionS3Location"
            raise InvalidInput("PipelineDefinition", "not exactly one definition", legal=legal)
        whole = self._at(location) if location is not None else text or ""
        name, definition = self._parsed(whole)
        self._check(name, definition)
        return whole, name

    def of(self, version: Ref, name: str, *, checked: bool = True) -> tuple[str, Definition]:
        """Give a version's definition, and its digest.

        Parameters
        ----------
        version
            The ``pipeline-version``.
        name
            The digest, if it is known; then the version need not be read again.
        checked
            Whether to refuse one that cannot run.
        """
        with self._lock:
            definition = self._read.get(name)
        if definition is None:
            found = self._store.get(version)
            if found is None:
                raise NotFound(version)
            name, definition = self._parsed(found.body["definition"])
        if checked:
            self._check(name, definition)
        return name, definition

    def _at(self, location: Location) -> str:
        uri = f"s3://{location.bucket}/{location.object_key}"
        if location.version_id:
            raise NotSupported("PipelineDefinitionS3Location.VersionId: objects have no versions")
        try:
            size = self._objects.stat(location.bucket, location.object_key).size_bytes
        except NotFound as error:
            raise InvalidInput("PipelineDefinitionS3Location", f"{uri}: {error.message}") from None
        if size > MAX_BYTES:
            legal = f"at most {MAX_BYTES}"
            raise InvalidInput("PipelineDefinitionS3Location", f"{uri}: {size} bytes", legal=legal)
        data = b"".join(self._objects.read(location.bucket, location.object_key))
        return data.decode(errors="replace")

    def _parsed(self, text: str) -> tuple[str, Definition]:
        name = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        with self._lock:
            definition = self._read.get(name)
        if definition is None:
            definition = parse(text)
        self._remember(self._read, name, definition)
        return name, definition

    def _check(self, name: str, definition: Definition) -> None:
        if name not in self._sound:
            check(definition, self._kinds, self._known)
        self._remember(self._sound, name, None)

    def _remember(self, where: OrderedDict[str, T], name: str, value: T) -> None:
        with self._lock:
            where[name] = value
            where.move_to_end(name)
            while len(where) > _MOST:
                where.popitem(last=False)
