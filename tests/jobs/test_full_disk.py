"""A job that fills the disk ends, says so, and leaves room for the next one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from tests.jobs.conftest import ACCOUNT, BUCKET, REGION, World, job, processing

from clary.kernel.clock import now
from clary.kernel.resource import Bucket

SIZE = 160 << 20
FILE = "/opt/ml/processing/out/f"
OUT = ("out", f"s3://{BUCKET}/out", "/opt/ml/processing/out", "EndOfJob")


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)]
    subprocess.run(mount, check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_job_that_fills_the_disk_fails_alone(small_disk):
    world = World(small_disk)
    world.objects.create_bucket(Bucket(BUCKET, ACCOUNT, REGION, now()))
    world.worker.start()
    done = world.run(job("processing", "fill"), command(f"head -c {2 * SIZE} /dev/zero > {FILE}"))
    assert done["ProcessingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("AlgorithmError: the disk is full")
    deadline = time.monotonic() + 30
    while shutil.disk_usage(small_disk).free < SIZE // 2:  # its workspace goes when it has ended
        assert time.monotonic() < deadline
        time.sleep(0.01)
    done = world.run(job("processing", "next"), command(f"echo x > {FILE}"))
    assert done["ProcessingJobStatus"] == "Completed"
    assert world.worker.stop()
    world.store.close()


def command(text):
    request = processing("none", outputs=[OUT])
    request["AppSpecification"]["ContainerEntrypoint"] = ["/bin/sh", "-c", text]
    return {**request, "ProcessingInputs": []}
