"""Rows that a job leaves for feature groups."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clary.jobs.failures import LONGEST
from clary.jobs.outputs import MOST_SINGLE
from clary.kernel.errors import ClaryError, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.jobs.contract import Plan, Target
    from clary.jobs.endings import Result
    from clary.jobs.model import Job
    from clary.jobs.ports import GroupRows
    from clary.kernel.names import Ref


def check(groups: GroupRows | None, plan: Plan, ref: Ref) -> None:
    """See to it that the groups of a job's outputs are there.

    Raises
    ------
    NotFound
        A group is not.
    NotSupported
        There are no feature groups here.
    """
    for target in plan.targets:
        if target.group:
            _known(groups).check(ref, target.group)


def fill(
    groups: GroupRows | None,
    plan: Plan,
    job: tuple[Ref, Job],
    result: Result,
    note: Callable[[str, int], None],
) -> Result:
    """Write the rows of a job that has completed; what cannot be written makes it fail.

    Parameters
    ----------
    job
        Its name, and what it is: it knows which rows are written.
    note
        Told, whenever rows are durable, of which output how many there are by now.
    """
    ref, written = job[0], job[1].ingested
    if result.status != "Completed":
        return result
    for target in plan.targets:
        if not target.group:
            continue
        try:
            files = _files(target, result)
            after = written.get(target.name, 0)
            _known(groups).write(ref, target.group, files, after, partial(note, target.name))
        except ClaryError as error:
            text = f"the feature group {target.group} cannot be filled: {error.message}"
            return replace(result, status="Failed", failure=f"ClientError: {text}"[:LONGEST])
    return result


def _files(target: Target, result: Result) -> Sequence[str]:
    """Say where the files of an output are, each of which lineage knows by itself."""
    own = [
        (role, artifact.uri)
        for role, artifact in result.outputs
        if role.startswith(f"{target.name}/")
    ]
    if own:
        return [uri for role, uri in sorted(own) if not _is_note(role)]
    if any(role == target.name for role, _ in result.outputs):
        raise LimitExceeded(f"the output {target.name} has more than {MOST_SINGLE} files")
    raise ClaryError(f"the job left no file below /opt/ml/{target.path}")


def _is_note(path: str) -> bool:
    """Say whether a file tells of others, as ``_SUCCESS`` and ``.part-0.crc`` of Spark."""
    return any(part.startswith(("_", ".")) for part in path.split("/")[1:])


def _known(groups: GroupRows | None) -> GroupRows:
    if groups is None:
        raise NotSupported("there are no feature groups here")
    return groups
