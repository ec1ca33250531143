"""What came from what: artifacts named by the digest of their content, and the tree they form."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from clary.kernel.codec import digest
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.kernel.resource import ObjectInfo

ARTIFACT = "artifact"
MOST_FILES = 1000
"""So many of a tree's files are listed; its digest is always that of all of them."""


class FileEntry(msgspec.Struct, frozen=True, order=True):
    """One file of a tree; ``path`` is relative to the tree."""

    path: str
    sha256: str
    size_bytes: int


class Artifact(msgspec.Struct, frozen=True):
    """Content that was read, written or run: an object, a tree of them, or an environment.

    Parameters
    ----------
    digest
        SHA-256 (hex) of the object, of the tree's sorted (path, digest, size) lines, or of the
        environment's packages and versions.
    uri
        Where it was seen; of an environment, what it is.
    type
        Which of the three it is.
    size_bytes
        Of all files together.
    file_count
        How many files a tree has; ``files`` lists at most 1000 of them.
    """

    digest: str
    uri: str
    type: Literal["object", "tree", "environment"]
    size_bytes: int
    file_count: int = 1
    files: tuple[FileEntry, ...] = ()


def of_object(info: ObjectInfo) -> Artifact:
    """Name one stored object."""
    uri = f"s3://{info.bucket}/{info.key}"
    return Artifact(info.sha256, uri, "object", info.size_bytes)


def of_tree(uri: str, entries: Iterable[FileEntry]) -> Artifact:
    """Name a tree of files by content; where it lies does not matter, nor does the order.

    Examples
    --------
    >>> one = of_tree("s3://b/x", [FileEntry("a", "00", 1), FileEntry("b", "11", 2)])
    >>> one.digest == of_tree("s3://c/y", [FileEntry("b", "11", 2), FileEntry("a", "00", 1)]).digest
    True
    """
    files = sorted(entries)
    whole = hashlib.sha256()
    for file in files:
        whole.update(msgspec.json.encode([file.path, file.sha256, file.size_bytes]) + b"\n")
    total = sum(file.size_bytes for file in files)
    return Artifact(
        whole.hexdigest(), uri, "tree", total, len(files), files=tuple(files[:MOST_FILES])
    )


def of_environment(image: str, packages: Mapping[str, str]) -> Artifact:
    """Name the packages that a job ran on, and the image it had asked for.

    Examples
    --------
    >>> of_environment("sagemaker-xgboost 1.0-1", {"xgboost": "3.2.0"}).uri
    'sagemaker-xgboost 1.0-1, run on xgboost 3.2.0'
    """
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    ran = {"image": image, **packages}
    return Artifact(digest(ran), f"{image}, run on {versions}", "environment", 0, 0)


class Node(msgspec.Struct, frozen=True):
    """A thing and what it was made from.

    ``role`` is what the thing above used it as; ``seen`` marks one that is written out elsewhere
    in the same tree.
    """

    ref: Ref
    role: str = ""
    digest: str = ""
    uri: str = ""
    size_bytes: int = 0
    seen: bool = False
    children: tuple[Node, ...] = ()
