"""kill -9 of a real server at seeded moments of the Abalone pipeline: all goes on, once.

The definition is the example's own; the scripts are small ones of the standard library, so that
most of the time goes by in the platform. A seed says when to kill (at a number of journal events,
or some time after a start), what to kill (the server alone, or every process of the home) and how
to go on (at once or when the jobs have ended by themselves, on the same port or another).
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import Template

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from clary.adapters.sqlite import SqliteStore
from clary.features.expiry import EXPIRY
from clary.features.fact_upkeep import FACT_UPKEEP
from clary.governance.keys import open_keys
from clary.governance.presence import find

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/clary"
PIPELINE, GROUP = "AbalonePipeline", "AbaloneModelPackageGroup"
EXAMPLE = Path(__file__).parents[2] / "examples/abalone/definition.json"
TOKEN = "kill-points-start-this-once-please"
DEADLINE_S = 120.0
TICK_S = 0.002
ROWS, BATCH_ROWS = 100, 20
STEPS = {
    "AbaloneProcess",
    "AbaloneTrain",
    "AbaloneEval",
    "AbaloneMSECond",
    "AbaloneRegisterModel",
    "AbaloneCreateModel",
    "AbaloneTransform",
}
JOBS = {"processing-job": 2, "training-job": 1, "transform-job": 1}

PREPROCESSING = """
import csv, pathlib
root = pathlib.Path("/opt/ml/processing")
rows = [row for path in sorted((root / "input").glob("*.csv")) for row in csv.reader(path.open())]
table = [[row[-1], *row[1:-1], *(int(row[0] == sex) for sex in "FIM")] for row in rows]
for name, part in (("train", table[:70]), ("validation", table[70:85]), ("test", table[85:])):
    (root / name).mkdir(parents=True, exist_ok=True)
    csv.writer((root / name / f"{name}.csv").open("w"), lineterminator="\\n").writerows(part)
"""
EVALUATION = """
import json, pathlib
root = pathlib.Path("/opt/ml/processing")
assert (root / "model" / "model.tar.gz").stat().st_size
rows = len((root / "test" / "test.csv").read_text().splitlines())
(root / "evaluation").mkdir(parents=True, exist_ok=True)
report = {"regression_metrics": {"mse": {"value": rows / 10, "standard_deviation": 0.0}}}
(root / "evaluation" / "evaluation.json").write_text(json.dumps(report))
"""


@dataclass(frozen=True)
class Kill:
    """One kill: its moment and what happens around it."""

    events: int = 0
    seconds: float = 0.0
    everything: bool = False
    waits_for_jobs: bool = False
    moves: bool = False


@dataclass
class Outcome:
    """What an execution left behind."""

    objects: dict[str, str]
    events: int
    seconds: float


@dataclass
class Home:
    """A home and the server that runs on it, if one does."""

    path: Path
    server: subprocess.Popen[bytes] | None = None
    port: int = 0
    kills: list[Kill] = field(default_factory=list)

    def start(self) -> None:
        """Start the server; does not wait for it."""
        argv = [sys.executable, "-m", "clary", "up"]
        argv += ["--home", str(self.path), "--port", str(self.port)]
        with (self.path.parent / "up.log").open("ab") as log:
            self.server = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    def is_ready(self) -> bool:
        """Say whether the server of this start answers."""
        assert self.server is not None
        assert self.server.poll() is None, (self.path.parent / "up.log").read_text()
        there = find(self.path)
        return there is not None and there.pid == self.server.pid

    def client(self, service: str):
        """Make a boto3 client of the server, ready or soon."""
        wait(self.is_ready, "the server is ready")
        endpoint, keys = find(self.path).endpoint, open_keys(self.path, ACCOUNT)
        self.port = int(endpoint.rpartition(":")[2])
        return boto3.client(
            service,
            endpoint_url=endpoint,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def kill(self, kill: Kill) -> None:
        """Kill -9 as the kill says, and start again."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()
        self.kills.append(kill)
        if kill.everything:
            kill_all(self.path)
        if kill.everything or kill.waits_for_jobs:
            wait(lambda: not processes(self.path), "the home's processes have ended")
        if kill.moves:
            self.port = 0
        self.start()

    def stop(self) -> None:
        """End the server as an operator would, then whatever it left."""
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(30)


def wait(holds, what: str, until: float | None = None) -> None:
    """Return when a condition holds; fail at the deadline."""
    until = until or time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < until, f"in vain: {what}"
        time.sleep(TICK_S)


def processes(home: Path) -> list[int]:
    """List the processes of a home: by command line, mounts, working directory or open files."""
    mark = os.fsencode(home)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        held = b""
        with suppress(OSError):
            held += (folder / "cmdline").read_bytes() + (folder / "mountinfo").read_bytes()
            for link in (folder / "cwd", *(folder / "fd").iterdir()):
                with suppress(OSError):
                    held += bytes(link.readlink())
        if mark in held and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def kill_all(home: Path) -> None:
    """Kill a home's processes as at one moment: none can see another's end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes(home):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def write_inputs(s3) -> None:
    """Upload the data, made from a fixed seed, and the scripts."""
    rng = random.Random(17)

    def known() -> list[str | float]:
        return [rng.choice("FIM"), *sizes(), rng.randint(3, 20)]

    def table(count: int, make) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(make() for _ in range(count))
        return text.getvalue().encode()

    def sizes() -> list[float]:
        return [round(rng.random(), 3) for _ in range(7)]

    s3.create_bucket(Bucket=BUCKET)
    for key, body in {
        "abalone/abalone.csv": table(ROWS, known),
        "abalone/batch.csv": table(BATCH_ROWS, lambda: [*sizes(), 1, 0, 0]),
        "AbalonePipeline/code/preprocessing.py": PREPROCESSING.encode(),
        "AbalonePipeline/code/evaluation.py": EVALUATION.encode(),
    }.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def put_pipeline(sagemaker) -> None:
    """Create the example's pipeline, with five rounds of training."""
    text = Template(EXAMPLE.read_text()).substitute(bucket=BUCKET, role=ROLE)
    sagemaker.create_pipeline(
        PipelineName=PIPELINE,
        PipelineDefinition=text.replace('"num_round": "50"', '"num_round": "5"'),
        ClientRequestToken=TOKEN,
        RoleArn=ROLE,
    )


def start_execution(home: Home) -> str:
    """Start the execution, or find the one that this token has started."""
    answer = home.client("sagemaker").start_pipeline_execution(
        PipelineName=PIPELINE, ClientRequestToken=TOKEN
    )
    return answer["PipelineExecutionArn"]


def run(path: Path, kills: list[Kill], *, killed_while_starting: bool = False) -> Outcome:
    """Run the pipeline on a new home, with kills in between, and check what it left."""
    home = Home(path / "home")
    home.path.mkdir()
    home.start()
    store = None
    try:
        write_inputs(home.client("s3"))
        put_pipeline(home.client("sagemaker"))
        store = SqliteStore(home.path / "metadata.db")
        first = max(event.id for event in store.events())
        if killed_while_starting:
            kill_while_starting(home)
        arn, began = start_execution(home), time.monotonic()
        go_on(home, store, kills, first)
        events, took_s = store.events(after=first, limit=10_000), time.monotonic() - began
        outcome = Outcome(objects(home), len(events), took_s)
        check_answers(home, arn)
        wait(lambda: not has_work(home), "the leases of dead servers are taken over")
        home.stop()
        wait(lambda: not processes(home.path), "nothing is left running")
        check_metadata(home, store)
    except BaseException as error:
        error.add_note(f"kills: {home.kills}")
        for log in (path / "up.log", *home.path.glob("server.log")):
            error.add_note(log.read_text()[-5000:])
        for e in store.events(limit=10_000) if store else ():
            error.add_note(f"{e.id} {e.at:%H:%M:%S.%f} {e.action} {e.ref} {e.detail}")
        raise
    finally:
        home.stop()
        kill_all(home.path)
    return outcome


def kill_while_starting(home: Home) -> None:
    """Kill the server while StartPipelineExecution is under way."""
    sagemaker = home.client("sagemaker")

    def ask() -> None:
        with suppress(BotoCoreError, ClientError):
            sagemaker.start_pipeline_execution(PipelineName=PIPELINE, ClientRequestToken=TOKEN)

    asking = threading.Thread(target=ask)
    asking.start()
    home.kill(Kill())
    asking.join()


def go_on(home: Home, store: SqliteStore, kills: list[Kill], first: int) -> None:
    """Kill at the given moments, start again each time, until the execution has ended."""
    until = time.monotonic() + DEADLINE_S

    def has_ended() -> bool:
        return any(
            event.action.startswith("pipeline-execution.")
            and event.action.partition(".")[2] in {"succeeded", "failed", "stopped"}
            for event in store.events(after=first, limit=10_000)
        )

    def is_time(kill: Kill, started: float) -> bool:
        reached = len(store.events(after=first, limit=10_000)) >= kill.events
        return has_ended() or (reached and time.monotonic() - started >= kill.seconds)

    for kill in kills:
        wait(partial(is_time, kill, time.monotonic()), f"the moment of {kill}", until)
        if has_ended():
            break
        home.kill(kill)
    wait(has_ended, "the execution has ended", until)
    wait(home.is_ready, "the server is ready")


def check_answers(home: Home, arn: str) -> None:
    """Check what the API says: succeeded, each step once, one version, jobs completed."""
    sagemaker = home.client("sagemaker")
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert found["PipelineExecutionStatus"] == "Succeeded", found
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
    states = [(step["StepName"], step["StepStatus"]) for step in steps["PipelineExecutionSteps"]]
    assert sorted(states) == sorted((name, "Succeeded") for name in STEPS)
    executions = sagemaker.list_pipeline_executions(PipelineName=PIPELINE)
    assert len(executions["PipelineExecutionSummaries"]) == 1
    versions = sagemaker.list_model_packages(ModelPackageGroupName=GROUP)
    assert [one["ModelPackageVersion"] for one in versions["ModelPackageSummaryList"]] == [1]
    assert len(sagemaker.list_models()["Models"]) == 1
    for kind, count in (("Processing", 2), ("Training", 1), ("Transform", 1)):
        listed = getattr(sagemaker, f"list_{kind.lower()}_jobs")()[f"{kind}JobSummaries"]
        assert [job[f"{kind}JobStatus"] for job in listed] == ["Completed"] * count


def objects(home: Home) -> dict[str, str]:
    """Digest all objects of the bucket; the token gives every home's execution the same id."""
    s3 = home.client("s3")
    digests = {}
    for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        if item["Key"].endswith("batch.csv.out"):
            assert len(body.splitlines()) == BATCH_ROWS
        digests[item["Key"]] = hashlib.sha256(body).hexdigest()
    return digests


def check_metadata(home: Home, store: SqliteStore) -> None:
    """Check the journal (each thing made once, ended once), and that no work is left over."""
    events = store.events(limit=10_000)
    facts = [(e.action, e.ref, e.detail.get("attempt"), e.detail.get("stage")) for e in events]
    lines = Counter(facts)
    repeated = [line for line, count in lines.items() if count > 1]
    assert not [line for line in repeated if not line[0].endswith(".updated")]
    actions = [action for action, *_ in lines]
    for kind, count in JOBS.items():
        for word in ("created", "completed"):
            assert actions.count(f"{kind}.{word}") == count
    assert not [path.name for path in (home.path / "processes").glob("[a-zA-Z0-9]*")]


def has_work(home: Home) -> bool:
    """Say whether anything is due or held by lease, but for what comes every hour for ever."""
    with closing(sqlite3.connect(home.path / "metadata.db")) as database:
        held = "(due_at is not null or lease_owner is not null) and kind not in (?, ?)"
        found = database.execute(f"select 1 from resource where {held}", [EXPIRY, FACT_UPKEEP])
        return bool(found.fetchall())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Outcome:
    """What the pipeline leaves when nobody kills anything."""
    return run(tmp_path_factory.mktemp("undisturbed"), [])


def planned(seed: int, of: int, whole: Outcome) -> list[Kill]:
    """Choose the kills of a seed: the first ones of all seeds cover the run evenly."""
    rng = random.Random(seed)
    phase = int((seed + rng.random()) / of * (whole.events - 2)) + 1
    kills = [Kill(events=phase, seconds=rng.choice((0.0, rng.uniform(0.0, 0.5))))]
    for _ in range(rng.choice((0, 1, 1, 2))):
        kills.append(Kill(seconds=rng.uniform(0.0, 1.5 * whole.seconds)))
    deadly = rng.choice((-1, -1, 0, 1))
    return [
        Kill(
            kill.events,
            kill.seconds,
            everything=number == deadly,
            waits_for_jobs=rng.random() < 0.3,
            moves=rng.random() < 0.5,
        )
        for number, kill in enumerate(kills)
    ]


FEW = [
    [Kill(events=12, moves=True), Kill(events=21, everything=True)],
    [Kill(events=6, waits_for_jobs=True), Kill(events=31)],
]


@pytest.mark.parametrize("kills", FEW)
def test_a_few_kills(kills, tmp_path, undisturbed):
    starting = kills is FEW[0]
    assert run(tmp_path, kills, killed_while_starting=starting).objects == undisturbed.objects


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(50))
def test_kills_all_over_the_run(seed, tmp_path, undisturbed):
    kills = planned(seed, 50, undisturbed)
    outcome = run(tmp_path, kills, killed_while_starting=seed % 5 == 4)
    assert outcome.objects == undisturbed.objects
