"""Files that were read as results do not outlive the process that read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit, os, sys
from pathlib import Path
import clary

@clary.step
def written() -> Path:
    Path("note.txt").write_text("kept")
    return Path("note.txt")

@clary.pipeline
def writes() -> None:
    written()

if __name__ == "__main__":
    clary.connect(sys.argv[1])
    run = writes.start().wait(60)
    found = [run["written"].result() for _ in range(2)]
    assert [path.read_text() for path in found] == ["kept", "kept"]
    run["written"].download(sys.argv[2])
    if not os.fork():
        atexit._run_exitfuncs()  # as a fork that ends by itself does
        os._exit(0)
    os.wait()
    assert all(path.exists() for path in found)
    print("here:", *found, sep="\\n")
"""


def test_files_are_removed_when_the_process_ends(tmp_path):
    program, stays = tmp_path / "program.py", tmp_path / "stays"
    program.write_text(PROGRAM)
    words = [sys.executable, str(program), str(tmp_path / "home"), str(stays)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    first, second = map(Path, said.partition("here:\n")[2].split())
    assert first != second
    assert not first.exists()
    assert not second.parent.parent.exists()
    assert [path.read_text() for path in stays.rglob("note.txt")] == ["kept"]
