"""What preloaded interpreters save: an isolated step, and a real processing script, forked."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

from figure import Figure, interleaved_s

from clary.adapters.process.runner import ProcessRunner
from clary.jobs.launch import PRELOAD
from clary.jobs.ports import ProcessSpec

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
}
STEP = "import sklearn.ensemble\n"
SCRIPT = """\
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--test-share", type=float, default=0.2)
options = parser.parse_args()
root = Path("/opt/ml/processing")
frame = pd.read_csv(root / "input" / "data.csv")
target = frame.pop("rings")
numbers = [name for name in frame.columns if name != "sex"]
scaled = Pipeline([("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
named = Pipeline(
    [("fill", SimpleImputer(strategy="most_frequent")), ("encode", OneHotEncoder())]
)
features = ColumnTransformer([("numbers", scaled, numbers), ("names", named, ["sex"])])
table = np.column_stack([target, features.fit_transform(frame)])
train, test = train_test_split(table, test_size=options.test_share, random_state=1)
(root / "output").mkdir()
for name, part in (("train", train), ("test", test)):
    pd.DataFrame(part).to_csv(root / "output" / f"{name}.csv", header=False, index=False)
print(len(train), len(test))
"""
RUNS, SLOW_RUNS = 41, 7
READY_S = 120.0
REST_S = 0.05


def rows(count=4177):
    """Write as many rows as the Abalone data has, of the same kinds."""
    lines = ["sex,length,diameter,height,weight,shell,rings"]
    for number in range(count):
        values = [round(0.1 + (number * step) % 997 / 997, 4) for step in (3, 5, 7, 11, 13)]
        lines.append(f"{'MFI'[number % 3]},{','.join(map(str, values))},{number % 29}")
    return "\n".join([*lines, ""])


def rest():
    """Let what the last one left behind be cleared away; a step of a pipeline has as much time."""
    time.sleep(REST_S)


def figures():
    """Measure a step that needs sklearn, and a script that uses it, forked and executed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        runner = ProcessRunner(root / "processes", fork_servers=root / "servers")
        numbers = itertools.count()

        def prepared(words, preload):
            name = f"bench-{next(numbers)}"
            ml = runner.workspace(name)
            if words[0].endswith(".py"):
                (ml / "processing" / "input").mkdir(parents=True)
                (ml / "processing" / "input" / "data.csv").write_text(rows())
                (ml / "script.py").write_text(SCRIPT)
            return ProcessSpec(
                id=name,
                argv=(sys.executable, *words),
                environment=ENVIRONMENT,
                ml=ml,
                cwd="/opt/ml",
                log=root / f"{name}.log",
                preload=preload,
            )

        def runs(count, words, preload):
            """Return what runs the next of ``count`` processes, from its start to its end seen."""
            waiting = iter([prepared(words, preload) for _ in range(count)])

            def run():
                spec = next(waiting)
                runner.start(spec)
                ended = runner.wait(spec.id, 120.0)
                assert ended is not None, spec.id
                assert ended.exit_code == 0, (ended, spec.log.read_text())

            return run

        until = time.monotonic() + READY_S
        while not runner.warm(prepared(["-c", STEP], PRELOAD)):
            assert time.monotonic() < until, "the fork server does not listen"
            time.sleep(0.1)
        script = ["script.py", "--test-share", "0.3"]
        _, forked_step, _, executed_empty = interleaved_s(
            RUNS,
            *(rest, runs(RUNS, ["-c", STEP], PRELOAD)),
            *(rest, runs(RUNS, ["-c", "pass"], ())),
        )
        _, forked, _, executed = interleaved_s(
            SLOW_RUNS,
            *(rest, runs(SLOW_RUNS, script, PRELOAD)),
            *(rest, runs(SLOW_RUNS, script, ())),
        )
        runner.cool()
        for number in range(next(numbers)):
            runner.discard(f"bench-{number}")
    return [
        Figure(
            "isolated step with sklearn loaded",
            forked_step * 1000,
            "ms",
            12,
            "an isolated Python that does nothing, executed",
            executed_empty * 1000,
        ),
        Figure(
            "sklearn processing script, executed over forked",
            executed / forked,
            "times",
            10,
            "forked, in ms",
            forked * 1000,
            ">=",
        ),
    ]
