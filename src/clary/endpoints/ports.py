"""What endpoints need of their own: models that answer inside the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.endpoints.invocations import Reply
    from clary.endpoints.trees import Ensemble, Evidence, Sample


class CompiledModel(Protocol):
    """A model that answers in microseconds, as its container would; any thread may ask it."""

    def answer(self, body: bytes, content_type: str = "", accept: str = "") -> Reply:
        """Answer one payload, an empty one with status 204. Raises Refused."""


class CompiledModels(Protocol):
    """Models compiled and kept by key; what is kept was verified."""

    def versions(self) -> Mapping[str, str]:
        """Name what compiles and runs, with versions; empty where it is not installed."""

    def compile(self, key: str, ensembles: Sequence[Ensemble], sample: Sample) -> Evidence:
        """Compile a model whose answers are the means of ensembles', and keep it.

        Raises
        ------
        NotSupported
            Its answers to the sample differ from the native ones beyond the tolerance; says in
            which row.
        """

    def load(self, key: str) -> CompiledModel:
        """Make a kept model ready to answer; it stays so while it is in use. Raises NotFound."""
