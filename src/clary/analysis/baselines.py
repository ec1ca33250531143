"""A baseline in its files: what a live check compares with, without any of the baseline's rows.

statistics.json keeps the whole profile in its ``clary`` block. Where there is none, because another
program wrote the file, its sketches and categories are taken.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from clary.analysis import samples, stored_profiles
from clary.analysis.samples import Categories
from clary.analysis.statistics import statistics
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.profiles import Profile
    from clary.analysis.samples import Sample
    from clary.analysis.statistics import Feature, Statistics

_MOST_BYTES = 256 << 20
_MEMBER = "profile"


def baseline(profile: Profile) -> Statistics:
    """Write the statistics of a baseline, with its profile in them."""
    packed = zlib.compress(stored_profiles.to_bytes(profile), 1)
    block = {_MEMBER: base64.b64encode(packed).decode()}
    return msgspec.structs.replace(statistics(profile), clary=block)


def profile_of(document: Statistics) -> Profile | None:
    """Read the profile back; None where the document has none.

    Raises
    ------
    InvalidInput
        It is damaged, or larger than 256 MiB.
    """
    text = document.clary.get(_MEMBER) if isinstance(document.clary, dict) else None
    if text is None:
        return None
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(base64.b64decode(str(text), validate=True), _MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise InvalidInput("statistics.clary.profile", f"it is damaged: {error}") from None
    if not unpacking.eof:
        limit = f"{_MOST_BYTES >> 20} MiB"
        raise InvalidInput("statistics.clary.profile", "it is cut off or too large", legal=limit)
    return stored_profiles.from_bytes(data)


def samples_of(document: Statistics) -> dict[str, Sample]:
    """Take the distributions of a baseline from its statistics.json, whoever wrote it.

    Raises
    ------
    InvalidInput
        A sketch or the profile in it is damaged.
    """
    return samples_in(document, profile_of(document))


def samples_in(document: Statistics, profile: Profile | None) -> dict[str, Sample]:
    """Take them from the document's profile, already read, or else from its sketches."""
    if profile is not None:
        return samples.of_profile(profile)
    found = {feature.name: _foreign(feature) for feature in document.features}
    return {name: sample for name, sample in found.items() if sample is not None and sample.rows}


def _foreign(feature: Feature) -> Sample | None:
    sketch = feature.sketch()
    if sketch is not None:
        return samples.of_sketch(replace(sketch, mode="deequ"))
    known = feature.categories()
    if known is None:
        return None
    others = max(0, feature.common.num_present - sum(known.values()))
    return Categories(known, others, error=others)
