import pytest
from tests.jobs.conftest import job, processing

from clary.jobs.instances import Instance, instance
from clary.kernel.errors import InvalidInput


@pytest.mark.parametrize(
    ("kind", "stands_for"),
    [
        ("ml.m5.large", Instance()),
        ("clary.c0.m0", Instance()),
        ("clary.c1.m64", Instance(1, 64 << 20)),
        ("clary.c1.m0.g0", Instance(1)),
    ],
)
def test_what_it_stands_for(kind, stands_for):
    assert instance(kind, field="InstanceType") == stands_for


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("clary.m1", "is no instance type"),
        ("clary.c1.m64.g", "is no instance type"),
        ("clary.c9999.m64", "asks for 9999 processors, this machine has"),
        ("clary.c1.m99999999", "MiB of memory, this machine has"),
        ("clary.c1.m64.g999", "asks for 999 GPUs, this machine has"),
    ],
)
def test_what_is_refused(kind, problem):
    with pytest.raises(InvalidInput, match=problem):
        instance(kind, field="InstanceType")


def sized(world, kind, script):
    world.put("code/s.py", script)
    request = processing("code/s.py")
    request["ProcessingResources"]["ClusterConfig"]["InstanceType"] = kind
    ref = job("processing", kind.replace(".", "-"))
    world.jobs.create(ref, request, actor="tester")
    return world.wait(ref)


def test_a_job_keeps_to_its_size(world):
    threads = "import os; print('threads', os.environ['OMP_NUM_THREADS'])"
    done = sized(world, "clary.c1.m0", threads)
    assert done.status == "Completed", done.body
    assert "threads 1" in world.log(done.ref)
    hungry = sized(world, "clary.c0.m64", "held = b'x' * (512 << 20)")
    assert hungry.status == "Failed"
    assert "OutOfMemory" in hungry.body["failure"] or "MemoryError" in hungry.body["failure"]
