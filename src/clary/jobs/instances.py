"""What an instance type stands for here: how much of this machine a job may use.

SageMaker's own types (``ml.m5.xlarge``) are names of machines elsewhere and limit nothing here.
clary's say it themselves: ``clary.c2.m4096`` is two processors and 4096 MiB of memory, and
``clary.c2.m4096.g1`` a GPU too; 0 leaves processors or memory unlimited.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from clary.kernel.errors import InvalidInput

_OWN = "clary."
_TYPE = re.compile(r"clary\.c([0-9]{1,4})\.m([0-9]{1,8})(?:\.g([0-9]{1,3}))?")
_LEGAL = "clary.c<processors>.m<MiB>, with .g<GPUs> behind it if need be, as in clary.c2.m4096"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True)
class Instance:
    """What a host of a job may use.

    Parameters
    ----------
    cpus
        How many threads numeric libraries start; 0 leaves that to them.
    memory_bytes
        Memory limit; None: the server's own limit for jobs.
    gpus
        GPUs that must be there.
    """

    cpus: int = 0
    memory_bytes: int | None = None
    gpus: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which libraries learn how many threads they may start."""
        return dict.fromkeys(_THREADS, str(self.cpus)) if self.cpus else {}


def instance(kind: str, *, field: str) -> Instance:
    """Read an instance type.

    Raises
    ------
    InvalidInput
        It is one of clary's but malformed, or asks for more than this machine has.

    Examples
    --------
    >>> instance("clary.c1.m512", field="InstanceType")
    Instance(cpus=1, memory_bytes=536870912, gpus=0)
    >>> instance("ml.m5.xlarge", field="InstanceType")
    Instance(cpus=0, memory_bytes=None, gpus=0)
    """
    if not kind.startswith(_OWN):
        return Instance()
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise InvalidInput(field, f"{kind!r} is no instance type", legal=_LEGAL)
    cpus, memory_mib, gpus = (int(number or 0) for number in match.groups())
    for wanted, there, what in (
        (cpus, os.cpu_count() or 1, "processors"),
        (memory_mib, _memory_mib(), "MiB of memory"),
        (gpus, _gpus(), "GPUs"),
    ):
        if wanted > there:
            problem = f"{kind!r} asks for {wanted} {what}, this machine has {there}"
            raise InvalidInput(field, problem, legal=f"at most {there}")
    return Instance(cpus, memory_mib << 20 or None, gpus)


def _memory_mib() -> int:
    return (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20


def _gpus() -> int:
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
