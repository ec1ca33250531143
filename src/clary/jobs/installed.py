"""Whether the server's own environment already has what requirements ask for."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*((?:[<>=!~]=?=?[^,;#\s]+\s*,?\s*)*)")
_CLAUSE = re.compile(r"([<>=!~]=?=?)\s*([0-9][0-9a-zA-Z.*]*)")


def met(lines: Sequence[str]) -> bool:
    """Whether every requirement is met; one with extras or a marker never counts as such."""
    return all(_met(line) for line in lines)


def _met(line: str) -> bool:
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        return False
    try:
        found = metadata.version(match[1])
    except metadata.PackageNotFoundError:
        return False
    return all(holds(found, relation, version) for relation, version in _CLAUSE.findall(match[2]))


def holds(found: str, relation: str, wanted: str) -> bool:
    """Compare two versions by their release numbers.

    Examples
    --------
    >>> holds("1.26.4", ">=", "1.24"), holds("2.1", "==", "2.*"), holds("3.0", "~=", "2.1")
    (True, True, False)
    """
    have, want = _release(found), _release(wanted)
    width = max(len(have), len(want))
    have, want = have + [0] * (width - len(have)), want + [0] * (width - len(want))
    prefix = len(_release(wanted))
    same = have[:prefix] == want[:prefix] if wanted.endswith("*") else have == want
    compared = {
        "==": same,
        "===": found == wanted,
        "!=": not same,
        ">=": have >= want,
        "<=": have <= want,
        ">": have > want,
        "<": have < want,
        "~=": have >= want and have[: prefix - 1] == want[: prefix - 1],
    }
    return compared.get(relation, False)


def _release(version: str) -> list[int]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in match[0].split(".")] if match else []
