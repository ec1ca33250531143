"""Where a container's files are, and how its programs end."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import traceback
from pathlib import Path

ROOT = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
MODEL = ROOT / "model"
_LONGEST = 1024


class JobError(Exception):
    """The job cannot go on.

    Parameters
    ----------
    message
        One sentence.
    kind
        ``ClientError`` when the request or its data are at fault, else ``AlgorithmError``.
    exit_code
        What the program ends with.
    """

    def __init__(self, message, *, kind="ClientError", exit_code=1):
        super().__init__(message)
        self.kind = kind
        self.exit_code = exit_code


def read_json(path, default=None):
    """Read a JSON file below the root; ``default`` when there is none."""
    file = ROOT / path
    return json.loads(file.read_text("utf-8")) if file.exists() else default


def end(error):
    """Write down why the job failed, for its FailureReason, and leave."""
    kind, code = "AlgorithmError", 1
    if isinstance(error, JobError):
        kind, code = error.kind, error.exit_code
    else:
        traceback.print_exception(error)
    text = str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {error}"
    print(f"{kind}: {text}", flush=True)
    (ROOT / "output").mkdir(exist_ok=True)
    (ROOT / "output" / "failure").write_text(f"{kind}: {text}"[:_LONGEST], encoding="utf-8")
    sys.exit(code)


def run(program):
    """Run ``program``; what it raises becomes the failure of the job."""
    try:
        program()
    except Exception as error:
        end(error)


def extract(archive, folder):
    """Unpack a tar archive; a member that leaves ``folder`` or is no file is refused by name.

    The check is our own, because Python before 3.11.4 has no extraction filters.
    """
    root = Path(folder).resolve()
    try:
        with tarfile.open(archive) as opened:
            opened.extraction_filter = getattr(tarfile, "data_filter", None)
            for member in opened:
                if problem := _problem(member, root):
                    raise JobError(
                        f"{Path(archive).name}: the member {member.name!r} is refused: {problem}"
                    )
                opened.extract(member, root)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise JobError(f"{Path(archive).name} is no whole tar archive: {error}") from None


def _problem(member, root):
    """Say why a member may not be unpacked below ``root``; empty when it may."""
    places = [Path(member.name)]
    if member.issym():
        places.append(places[0].parent / member.linkname)
    elif member.islnk():
        places.append(Path(member.linkname))
    elif not (member.isreg() or member.isdir()):
        return "it is no file, folder or link"
    # resolved on disk, so that a link unpacked before leads nobody out either
    if all((root / place).resolve().is_relative_to(root) for place in places):
        return ""
    return "it leads out of the archive's folder"
