"""Components of jobs: made and kept up to date as the journal tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.experiments.model import COMPONENT, named
from clary.jobs.model import PROCESSING, TRAINING

if TYPE_CHECKING:
    from clary.kernel.names import Ref

_SUFFIXES = {PROCESSING: "aws-processing-job", TRAINING: "aws-training-job"}


def component_of(job: Ref) -> Ref:
    """Name the component of a job.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> component_of(Ref("1", "us-east-1", "training-job", "Abalone-1")).name
    'abalone-1-aws-training-job'
    """
    return named(job, COMPONENT, f"{job.name}-{_SUFFIXES.get(job.kind, 'aws-transform-job')}")
