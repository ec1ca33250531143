"""Dagster in-process beside us: ``dagster_steps.py FOLDER`` prints the seconds a step takes."""

import json
import logging
import os
import sys
import time

os.environ["DAGSTER_HOME"] = sys.argv[1]
logging.disable(logging.CRITICAL)

from dagster import (  # noqa: E402 - it reads its home when it is imported
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)

STEPS = {"chain": 20, "fan": 100}


@op
def zero():
    return 0


@op
def increase(number):
    return number + 1


@op(out=DynamicOut(int))
def numbers():
    for number in range(STEPS["fan"]):
        yield DynamicOutput(number, mapping_key=str(number))


@job(executor_def=in_process_executor)
def chain():
    number = zero()
    for index in range(STEPS["chain"] - 1):
        number = increase.alias(f"increase_{index}")(number)


@job(executor_def=in_process_executor)
def fan():
    numbers().map(increase)


def seconds(shape, instance):
    begin = time.perf_counter()
    done = execute_job(reconstructable(globals()[shape]), instance=instance)
    took = time.perf_counter() - begin
    if not done.success:
        sys.exit(f"dagster: {shape} failed")
    return took / STEPS[shape]


if __name__ == "__main__":
    here = DagsterInstance.get()
    print(json.dumps({shape: seconds(shape, here) for shape in STEPS}))
