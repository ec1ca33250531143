"""A notebook job: run a notebook with its parameters by papermill, and keep it as it ran."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import papermill
from job_files import ROOT, JobError, read_json, run
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

INPUT = Path(os.environ.get("SM_EXECUTION_INPUT_PATH") or ROOT / "input" / "data")
OUTPUT = ROOT / "output" / "data"
_WORDS = {"True": True, "False": False, "None": None}
_SOURCED = 'source "$0" && exec "$@"'


def main():
    """Source the initialization script if there is one, then run the notebook."""
    script = os.environ.pop("SM_INIT_SCRIPT", "")
    if script:
        path = here(script)
        words = ["bash", "-c", _SOURCED, str(path), sys.executable, *sys.argv]
        os.execv("/bin/bash", words)  # noqa: S606 - the job's own script, in the job
    execute(
        here(os.environ.get("SM_INPUT_NOTEBOOK_NAME", "")),
        OUTPUT / Path(os.environ.get("SM_OUTPUT_NOTEBOOK_NAME") or "notebook.ipynb").name,
        os.environ.get("SM_KERNEL_NAME") or None,
    )


def here(name):
    """Find a file that came with the job."""
    path = INPUT / Path(name).name
    if not name or not path.is_file():
        raise JobError(f"{name!r} is not among the job's files in {INPUT}")
    return path


def execute(notebook, output, kernel):
    """Run every cell in the folder of the input files; the output is written cell by cell."""
    given = read_json("input/config/hyperparameters.json", {})
    parameters = {name: value(text) for name, text in given.items()}
    OUTPUT.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters=parameters,
            kernel_name=kernel,
            cwd=str(INPUT),
            progress_bar=False,
            log_output=True,
        )
    except NoSuchKernel as error:
        known = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
        raise JobError(f"there is no kernel {error.name!r}; there is: {known}") from None
    except papermill.PapermillExecutionError as error:
        cell = f"cell [{error.exec_count}] of {notebook.name} raised {error.ename}: {error.evalue}"
        raise JobError(cell, kind="AlgorithmError") from None


def value(text):
    """Read a parameter: a number or a truth value as what it says, anything else as text."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (int, float)) else text


if __name__ == "__main__":
    run(main)
