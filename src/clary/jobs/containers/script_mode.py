"""The training toolkit's contract: a user's script, its arguments and its SM_ variables."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import deque

from job_files import MODEL, ROOT, JobError, extract, read_json, run

CODE = ROOT / "code"
INPUT = ROOT / "input"
OUTPUT = ROOT / "output"
_RESERVED = (
    *("sagemaker_submit_directory", "sagemaker_program", "sagemaker_container_log_level"),
    *("sagemaker_job_name", "sagemaker_region", "sagemaker_enable_cloudwatch_metrics"),
    *("sagemaker_instance_type", "sagemaker_instance_count", "_tuning_objective_metric"),
)
_TAIL = 8
_KEPT_LINES = 64
_LONGEST = 700


def main():
    """Prepare the code, run it, and say how it failed if it did."""
    hyperparameters = decoded(read_json("input/config/hyperparameters.json", {}))
    resources = read_json("input/config/resourceconfig.json", {})
    channels = read_json("input/config/inputdataconfig.json", {})
    program = os.environ.get("SAGEMAKER_PROGRAM") or hyperparameters.get("sagemaker_program", "")
    fetch_code()
    if not (CODE / program).is_file():
        raise JobError(f"the entry point {program!r} is not in the source directory")
    arguments = argv({k: v for k, v in hyperparameters.items() if not reserved(k)})
    environment = variables(hyperparameters, resources, channels, arguments)
    os.environ.update(environment)
    execute(command(program, arguments))


def reserved(name):
    """Whether a hyperparameter is for the toolkit, not for the script."""
    return name in _RESERVED or name.startswith("sagemaker_")


def decoded(given):
    """Decode each value as JSON; what is none stays as it is."""
    values = {}
    for name, text in given.items():
        try:
            values[name] = json.loads(text)
        except (TypeError, ValueError):
            values[name] = text
    return values


def argv(hyperparameters):
    """Write hyperparameters as sorted arguments: ``--name value``, ``-n value``."""
    words = []
    for name in sorted(hyperparameters):
        words += [f"-{name}" if len(name) == 1 else f"--{name}", str(hyperparameters[name])]
    return words


def fetch_code():
    """Unpack the source archive unless there is code already."""
    archive = INPUT / "code" / "sourcedir.tar.gz"
    CODE.mkdir(exist_ok=True)
    if archive.exists() and not any(CODE.iterdir()):
        extract(archive, CODE)


def variables(hyperparameters, resources, channels, arguments):
    """Compose the SM_ variables; everything but text is compact JSON with sorted keys."""
    plain = {name: value for name, value in hyperparameters.items() if not reserved(name)}
    framework = {name: value for name, value in hyperparameters.items() if reserved(name)}
    program = hyperparameters.get("sagemaker_program", "")
    module = program.removesuffix(".py").replace("/", ".")
    directory = hyperparameters.get("sagemaker_submit_directory", "")
    groups = resources.get("instance_groups", [])
    hosts = resources.get("hosts", [])
    values = {
        "HOSTS": hosts,
        "NETWORK_INTERFACE_NAME": resources.get("network_interface_name", "lo"),
        "CURRENT_HOST": resources.get("current_host", ""),
        "CURRENT_INSTANCE_TYPE": resources.get("current_instance_type", ""),
        "CURRENT_INSTANCE_GROUP": resources.get("current_group_name", ""),
        "CURRENT_INSTANCE_GROUP_HOSTS": groups[0]["hosts"] if groups else hosts,
        "INSTANCE_GROUPS": [group["instance_group_name"] for group in groups],
        "INSTANCE_GROUPS_DICT": {group["instance_group_name"]: group for group in groups},
        "DISTRIBUTION_INSTANCE_GROUPS": [],
        "IS_HETERO": False,
        "NUM_CPUS": os.cpu_count() or 1,
        "NUM_GPUS": 0,
        "NUM_NEURONS": 0,
        "RESOURCE_CONFIG": resources,
        "HPS": plain,
        "USER_ENTRY_POINT": program,
        "USER_ARGS": arguments,
        "FRAMEWORK_PARAMS": framework,
        "FRAMEWORK_MODULE": os.environ.get("SAGEMAKER_TRAINING_MODULE", ""),
        "MODULE_NAME": module,
        "MODULE_DIR": directory,
        "LOG_LEVEL": int(hyperparameters.get("sagemaker_container_log_level", 20)),
        "CHANNELS": sorted(channels),
        "INPUT_DATA_CONFIG": channels,
        "INPUT_DIR": str(INPUT),
        "INPUT_CONFIG_DIR": str(INPUT / "config"),
        "OUTPUT_DIR": str(OUTPUT),
        "OUTPUT_DATA_DIR": str(OUTPUT / "data"),
        "OUTPUT_INTERMEDIATE_DIR": str(OUTPUT / "intermediate"),
        "MODEL_DIR": str(MODEL),
    }
    values["TRAINING_ENV"] = training_environment(values, plain, channels)
    for name, value in plain.items():
        values[f"HP_{name.upper()}"] = value
    for name in channels:
        values[f"CHANNEL_{name.upper()}"] = str(INPUT / "data" / name)
    return {f"SM_{name}": as_text(value) for name, value in values.items()}


def training_environment(values, plain, channels):
    """Compose SM_TRAINING_ENV: the same facts under the toolkit's own names."""
    names = (
        *("current_host", "current_instance_type", "current_instance_group", "hosts", "num_cpus"),
        *("num_gpus", "num_neurons", "network_interface_name", "user_entry_point", "module_name"),
        *("module_dir", "log_level", "input_data_config", "input_dir", "input_config_dir"),
        *("output_dir", "output_data_dir", "output_intermediate_dir", "model_dir", "is_hetero"),
        *("current_instance_group_hosts", "instance_groups", "instance_groups_dict"),
        *("distribution_instance_groups", "resource_config", "framework_module"),
    )
    return {
        **{name: values[name.upper()] for name in names},
        "additional_framework_parameters": values["FRAMEWORK_PARAMS"],
        "channel_input_dirs": {name: str(INPUT / "data" / name) for name in channels},
        "hyperparameters": plain,
        "is_master": values["HOSTS"][:1] == [values["CURRENT_HOST"]],
        "master_hostname": next(iter(values["HOSTS"]), ""),
        "job_name": os.environ.get("TRAINING_JOB_NAME", ""),
    }


def as_text(value):
    """Write a variable's value."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def command(program, arguments):
    """Say how the entry point is run."""
    if program.endswith(".sh"):
        return ["/bin/sh", "-c", f"./{shlex.quote(program)} {shlex.join(arguments)}".strip()]
    if program.endswith(".py") and not (CODE / "setup.py").exists():
        return [sys.executable, program, *arguments]
    return [sys.executable, "-m", program.removesuffix(".py").replace("/", "."), *arguments]


def execute(words):
    """Run the user's program with its output as ours; keep the end of what it complains."""
    print(f"Running: {shlex.join(words)}", flush=True)
    process = start(words)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    complaint = deque(maxlen=_KEPT_LINES)
    for line in process.stderr:
        complaint.append(line.decode("utf-8", "replace"))
        sys.stderr.write(complaint[-1])
    code = process.wait()
    if code:
        code = 128 - code if code < 0 else code
        OUTPUT.mkdir(exist_ok=True)
        failure = failed(code, list(complaint), words)
        (OUTPUT / "failure").write_text(failure[:1024], encoding="utf-8")
        print(failure, flush=True)
        sys.exit(code)


def start(words):
    """Start the user's program; where this process was forked with modules loaded, fork it, too."""
    forked = sys.modules.get("_clary_forked")
    if forked is None or words[0] != sys.executable:
        return subprocess.Popen(words, cwd=CODE, stderr=subprocess.PIPE)
    return Forked(forked, words)


class Forked:
    """As much of ``subprocess.Popen`` as is needed, of a program forked from this process."""

    def __init__(self, forked, words):
        told, complaint = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.dup2(complaint, 2)
            os.closerange(3, 64)
            forked.execute_again(words, str(CODE))
        os.close(complaint)
        self.stderr = os.fdopen(told, "rb")

    def terminate(self):
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self):
        """Return its exit code once it has ended; that of a signal is negative."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def failed(code, complaint, words):
    """Compose the failure text; 137 is what want of memory looks like."""
    starts = [place for place, line in enumerate(complaint) if line.startswith("Traceback")]
    said = "".join(complaint[starts[-1] :] if starts else complaint[-_TAIL:]).strip()
    if code == 137:
        said = f"{said}\nOutOfMemory: the process was killed".strip()
    head = f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "'
    return f'{head}{said[-_LONGEST:]}"\nCommand "{shlex.join(words)}"'


if __name__ == "__main__":
    run(main)
