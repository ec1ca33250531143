"""XGBoost models as ONNX files, which onnxruntime answers from inside the server."""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections import OrderedDict
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from clary.endpoints.ports import CompiledModel
    from clary.endpoints.trees import Ensemble, Evidence, Sample

_COMPILER = "clary.adapters.onnx_compiler"
_ANSWERS = "clary.adapters.onnx_answers"
"""Both are imported when a model needs them: with numpy and ONNX they take 0.3 s."""
_KEY = re.compile(r"[0-9a-f]{64}")


class OnnxModels:
    """Compiled models, each a file of its own, named by its key and written once.

    Parameters
    ----------
    folder
        Where the files are; made when there is one.
    most_loaded
        How many models are ready to answer at once, beside those in use; the least recently
        loaded goes first.
    """

    def __init__(self, folder: Path, *, most_loaded: int = 64) -> None:
        self._folder = folder
        self._most = most_loaded
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, CompiledModel] = OrderedDict()

    def versions(self) -> Mapping[str, str]:
        """Name what compiles and runs, with versions; empty where it is not installed."""
        try:
            return {name: metadata.version(name) for name in ("onnx", "onnxruntime")}
        except metadata.PackageNotFoundError:
            return {}

    def compile(self, key: str, ensembles: Sequence[Ensemble], sample: Sample) -> Evidence:
        """Compile a model whose answers are the means of ensembles', verify it, and keep it.

        Raises
        ------
        InvalidInput
            The sample is not one of such a model.
        NotSupported
            Its answers to the sample differ from the native ones beyond the tolerance; says in
            which row.
        """
        compiler: Any = import_module(_COMPILER)
        content, evidence = compiler.compiled(ensembles, sample, dict(self.versions()))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self._folder / f".{key}-{secrets.token_hex(8)}"
        with written.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.rename(self._file(key))
        found: Evidence = evidence
        return found

    def load(self, key: str) -> CompiledModel:
        """Make a kept model ready to answer; it stays so while it is in use. Raises NotFound."""
        with self._lock:
            model = self._loaded.get(key) or self._open(key)
            self._loaded[key] = model
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._most:
                self._loaded.popitem(last=False)
        return model

    def _open(self, key: str) -> CompiledModel:
        try:
            content = self._file(key).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"compiled model {key}") from None
        answers: Any = import_module(_ANSWERS)
        model: CompiledModel = answers.opened(content)
        return model

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise NotFound(f"compiled model {key}")
        return self._folder / f"{key}.onnx"
