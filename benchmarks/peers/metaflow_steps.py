"""Metaflow beside us: ``metaflow_steps.py FOLDER`` prints the seconds a step of each shape takes.

Flows are classes with a method a step, so that a chain of 20 is written out here. Its fan-out is
of 20: one of 100 takes minutes.
"""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

STEPS = 20
NAMES = ["start", *(f"step_{number}" for number in range(1, STEPS - 1)), "end"]
CHAIN = "from metaflow import FlowSpec, step\nclass Chain(FlowSpec):\n" + "".join(
    f"    @step\n    def {name}(self):\n        self.x = 1\n        self.next(self.{after})\n"
    for name, after in pairwise(NAMES)
)
CHAIN += "    @step\n    def end(self): pass\nif __name__ == '__main__': Chain()\n"
FAN = f"""from metaflow import FlowSpec, step
class Fan(FlowSpec):
    @step
    def start(self):
        self.items = list(range({STEPS}))
        self.next(self.work, foreach="items")
    @step
    def work(self):
        self.x = self.input + 1
        self.next(self.join)
    @step
    def join(self, inputs): self.next(self.end)
    @step
    def end(self): pass
if __name__ == "__main__": Fan()
"""


def seconds(folder: Path, name: str, source: str, steps: int) -> float:
    program = folder / f"{name}.py"
    program.write_text(source)
    environment = {**os.environ, "USERNAME": "bench", "METAFLOW_USER": "bench"}
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, str(program), "--quiet", "run", "--max-workers", "4"],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (time.perf_counter() - begin) / steps


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(
        json.dumps(
            {
                "chain": seconds(place, "chain", CHAIN, STEPS),
                "fan": seconds(place, "fan", FAN, STEPS + 3),
            }
        )
    )
