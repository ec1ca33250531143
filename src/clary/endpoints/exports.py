"""The sandboxed program that turns a model's artifact into data, and reading what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from clary.endpoints.trees import LARGEST_DOCUMENT, Ensemble, Sample, read
from clary.jobs.contract import Plan, Source
from clary.jobs.images import runtime
from clary.jobs.inputs import fetch, find, require_space
from clary.jobs.trees import Tree
from clary.kernel.codec import build, from_json
from clary.kernel.errors import ClaryError, InvalidInput, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clary.endpoints.model import Stage
    from clary.kernel.ports import ObjectStore

LIMIT_S = 120.0
LARGEST_ARTIFACT = 1 << 30
_OUTPUT = "output/export"
_HOST = "algo-1"
_MOST_BOOSTERS = 100
_LARGEST_ROWS = 256 << 20
_LARGEST_NOTE = 1 << 16
_VERSIONS = ("xgboost", "python")
_LONGEST_VERSION = 40


class _Note(Struct, frozen=True):
    unfit: str = ""
    boosters: int = 0
    outputs: int = 1
    real: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def source(stage: Stage) -> Source:
    """Say where the model's files are and where the program finds them."""
    if stage.packed:
        return Source("model", stage.model_data, "input/model", file_name="model.tar.gz")
    return Source("model", stage.model_data, "model")


def plan(stage: Stage) -> Plan:
    """Say how the program runs: in the environment of the stage's image, without a network."""
    return Plan(
        runtime=runtime(stage.image, field="Image"),
        hosts=(_HOST,),
        sources=(),
        targets=(),
        resources=("", {}),
        program=("xgboost_export.py",),
        limit_s=LIMIT_S,
        network=False,
    )


def lay(
    objects: ObjectStore, stage: Stage, sha256: str, ml: Path, check: Callable[[], None]
) -> None:
    """Put the model's files where the program finds them.

    Raises
    ------
    ClaryError
        They cannot be had, are too large, or are not those of the digest.
    """
    wanted = source(stage)
    found = find(objects, wanted)
    if found is None or found.artifact.digest != sha256:
        raise ClaryError(f"{stage.model_data} is not what it was")
    if found.artifact.size_bytes > LARGEST_ARTIFACT:
        raise LimitExceeded(f"the artifact has {found.artifact.size_bytes} bytes, over 1 GiB")
    require_space([found], 1, ml)
    for folder in ("model", "input", "output"):
        (ml / folder).mkdir(parents=True, exist_ok=True)
    fetch(objects, found.items, wanted, ml, check)


def exported(ml: Path) -> tuple[list[Ensemble], Sample]:
    """Read what the program has left.

    Raises
    ------
    NotSupported
        The model is one that is not compiled; says why.
    InvalidInput
        What it left is not what it should be.
    """
    tree = Tree(ml, _OUTPUT)
    found = _Files(tree)
    note = build(_Note, from_json(found.read("export.json", _LARGEST_NOTE), field="export"))
    if note.unfit:
        raise NotSupported(note.unfit[:1024])
    if not 1 <= note.boosters <= _MOST_BOOSTERS:
        raise NotSupported(f"it has {note.boosters} boosters, over {_MOST_BOOSTERS}")
    left = LARGEST_DOCUMENT
    ensembles = []
    for index in range(note.boosters):
        document = found.read(f"trees-{index}.json", left)
        left -= len(document)
        ensembles.append(read(document))
    rows, answers = (found.read(name, _LARGEST_ROWS) for name in ("rows", "answers"))
    versions = {name: note.versions.get(name, "")[:_LONGEST_VERSION] for name in _VERSIONS}
    return ensembles, Sample(rows, answers, note.outputs, versions, max(0, note.real))


class _Files:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files = {one.path: one for one in tree.files()}

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a file. Raises InvalidInput when there is none, NotSupported when it is larger."""
        if name not in self._files:
            raise InvalidInput("export", f"there is no {name}")
        with self._tree.open(self._files[name]) as stream:
            content = stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise NotSupported(f"the model's {name} is larger than {most_bytes} bytes")
        return content
