"""Labels that come later than the answers they belong to.

A label names its request by ``inferenceId``, the client's own, or by ``eventId``, the endpoint's.
Both come at any time and in any order, so labels are read whole and requests pass by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.analysis.captures import captures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from clary.analysis.captures import Faults, Line
    from clary.analysis.payloads import Payload


@dataclass(slots=True)
class Labels:
    """Labels by the request they belong to.

    Parameters
    ----------
    by_id
        The last one that was read of each.
    repeated
        How many came again for a request that had one.
    used
        The ids of requests that were found.
    requests, unlabelled
        How many requests there were, and how many of them had none.
    """

    by_id: dict[str, Payload] = field(default_factory=dict)
    repeated: int = 0
    used: set[str] = field(default_factory=set)
    requests: int = 0
    unlabelled: int = 0

    @property
    def unmatched(self) -> int:
        """How many labels belong to no request that was seen."""
        return len(self.by_id) - len(self.used)

    def of(self, requests: Iterable[Line]) -> Iterator[tuple[Line, Payload | None]]:
        """Give each request with its label, or None; one merged before has its own."""
        for line in requests:
            self.requests += 1
            label = line.capture.ground_truth_data or self._find(line.capture.ids)
            if label is None:
                self.unlabelled += 1
            yield line, label

    def notes(self, faults: Faults) -> dict[str, Any]:
        """Say how requests and labels found each other, for the ``clary`` block of a report."""
        found: dict[str, Any] = {
            "requests": self.requests,
            "requests_without_label": self.unlabelled,
            "labels": len(self.by_id),
            "labels_without_request": self.unmatched,
            "labels_repeated": self.repeated,
            "unreadable_lines": faults.count,
        }
        return {**found, "unreadable": faults.named} if faults.named else found

    def _find(self, ids: tuple[str, ...]) -> Payload | None:
        for one in ids:
            if one in self.by_id:
                self.used.add(one)
                return self.by_id[one]
        return None


def read_labels(source: Path, faults: Faults) -> Labels:
    """Read labels from lines of JSON; later lines and files win.

    Parameters
    ----------
    source
        A file, or a folder of files whose names sort by the time the labels came.
    faults
        Counts what is no label, among it lines that name no request.
    """
    labels = Labels()
    for line in captures(source, faults):
        label, ids = line.capture.ground_truth_data, line.capture.ids
        if label is None or not ids:
            missing = "groundTruthData" if label is None else "eventMetadata.eventId"
            faults.add(line.file, line.number, f"has no {missing}")
            continue
        labels.repeated += ids[0] in labels.by_id
        labels.by_id[ids[0]] = label
    return labels
