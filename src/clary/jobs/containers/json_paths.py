"""The small part of JSONPath that batch filters use: names, indices, slices and lists of them."""

from __future__ import annotations

import re

from job_files import JobError

_STEP = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<inner>[^\]]*)\]")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SLICE = re.compile(r"(-?\d*):(-?\d*)")
_INDEX = re.compile(r"-?\d+")


def compiled(path):
    """Read a path; returns a function from a document to what the path names."""
    if not path.startswith("$"):
        raise JobError(f"{path!r} is no JSONPath: it does not start with $")
    steps, place = [], 1
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            raise JobError(f"{path!r} is no JSONPath known here, from {path[place:]!r} on")
        steps.append(_key(match["name"]) if match["name"] else _inner(path, match["inner"].strip()))
        place = match.end()

    def select(document):
        for step in steps:
            try:
                document = step(document)
            except (KeyError, IndexError, TypeError):
                raise JobError(f"{path!r} names nothing in the record") from None
        return document

    return select


def _inner(path, text):
    parts = [part.strip() for part in text.split(",")]
    if all(_SLICE.fullmatch(part) or _INDEX.fullmatch(part) for part in parts):
        return _places(parts)
    names = [_QUOTED.fullmatch(part) for part in parts]
    if not all(names):
        raise JobError(f"{path!r} is no JSONPath known here: [{text}]")
    keys = [match[1] if match[1] is not None else match[2] for match in names]
    if len(keys) == 1:
        return _key(keys[0])
    return lambda document: {key: document[key] for key in keys}


def _places(parts):
    """Read indices and slices; more than one of them, or a slice, names a list."""
    if len(parts) == 1 and _INDEX.fullmatch(parts[0]):
        return lambda document: _listed(document)[int(parts[0])]
    cuts = []
    for part in parts:
        if match := _SLICE.fullmatch(part):
            cuts.append(slice(*(int(bound) if bound else None for bound in match.groups())))
        else:
            cuts.append(int(part))

    def select(document):
        found = []
        for cut in cuts:
            some = _listed(document)[cut]
            found += some if isinstance(cut, slice) else [some]
        return found

    return select


def _key(name):
    return lambda document: document[name]


def _listed(document):
    if not isinstance(document, list):
        raise TypeError
    return document
