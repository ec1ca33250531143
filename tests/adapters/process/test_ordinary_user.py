"""The suites of this folder and the runner's contract once more, as an ordinary user."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

REPOSITORY = Path(__file__).parents[3]
SUITES = (
    *("tests/adapters/process/test_escape.py", "tests/adapters/process/test_durable.py"),
    *("tests/adapters/process/test_tree.py", "tests/adapters/process/test_ladder.py"),
    *("tests/adapters/process/test_forkservers.py", "tests/contracts/test_job_runner.py"),
)
UID = 23_456
# a private view of the file system in which the user may reach the interpreter and the checkout,
# whatever the modes of the folders above them are
VIEW = """
set -e
user=$1 home=$2; shift 2
for shown in {shown}; do mkdir -p "$home$shown"; mount --rbind "$shown" "$home$shown"; done
for closed in {closed}; do
    mount -t tmpfs -o mode=0755 none "$closed"
done
for shown in {shown}; do
    mkdir -p "$shown"; mount --rbind "$home$shown" "$shown"
done
cd {repository}
exec setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all "$@"
"""


@pytest.fixture
def home():
    # not below pytest's own folder, which every new session of root closes to others
    with TemporaryDirectory(prefix="clary-ordinary-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_same_as_an_ordinary_user(home):
    if os.geteuid() != 0:
        pytest.skip("this run is by an ordinary user already")
    work = home / "work"
    work.mkdir()
    os.chown(work, UID, UID)
    needed = {Path(sys.prefix), Path(sys.base_prefix), REPOSITORY}
    closed = {top for path in needed if (top := closed_above(path))}
    shown = sorted(path for path in needed if closed_above(path))
    script = VIEW.format(
        shown=" ".join(map(str, shown)), closed=" ".join(map(str, closed)), repository=REPOSITORY
    )
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *SUITES]
    view = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"]
    run = subprocess.run(
        [*view, str(UID), str(home / "view"), *command, f"--basetemp={work / 'tmp'}"],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    summary = run.stdout.strip().splitlines()[-1]
    skipped = re.findall(r"SKIPPED .*: (.*)", run.stdout)
    assert int(re.search(r"(\d+) passed", summary).group(1)) > 90, summary
    assert skipped == ["only root can give files away"]


def closed_above(path):
    """The topmost folder above ``path`` that others may not pass, or None."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
