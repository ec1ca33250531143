"""Prefect beside us: ``prefect_steps.py FOLDER`` prints the seconds a task of each shape takes."""

import json
import os
import sys
import time

os.environ |= {"PREFECT_HOME": sys.argv[1], "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

STEPS = {"chain": 20, "fan": 100}


@task
def increase(number):
    return number + 1


@flow
def chain():
    number = 0
    for _ in range(STEPS["chain"]):
        number = increase(number)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def fan():
    for future in [increase.submit(number) for number in range(STEPS["fan"])]:
        future.result()


def seconds(shape):
    begin = time.perf_counter()
    globals()[shape]()
    return (time.perf_counter() - begin) / STEPS[shape]


if __name__ == "__main__":
    seconds("chain")  # its server starts with the first run
    print(json.dumps({shape: seconds(shape) for shape in STEPS}))
