"""Checks that no linter makes: file sizes and names, pages and their links, what a commit tells."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import documented
import flow_methods
import reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 400
BANNED = {"utils.py", "common.py", "helpers.py", "base.py"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|\$\(|bin/)clary +([a-z]+)(?: +([a-z]+))?", re.MULTILINE)
_MACHINE = re.compile(r"(?<![\w/.])(?:/root/|/home/[a-z][\w-]*/)[\w.]")


def tracked(pattern: str = "") -> list[Path]:
    """List the files that are or would be committed; all, or those that a pattern names."""
    argv = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern or ".")
    said = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in sorted(said.splitlines()) if (path := ROOT / name).is_file()]


def sizes() -> Iterator[str]:
    """Complain of sources that are too long or named for nothing."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        name = path.relative_to(ROOT)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST:
            yield f"{name}: {lines} lines, at most {LONGEST}; split by noun"
        if path.name in BANNED:
            yield f"{name}: name it for what it holds"


def pages() -> Iterator[str]:
    """Complain of generated pages that are not what the code says."""
    for name in reference.stale():
        yield f"docs/reference/{name} is stale: run `make docs`"
    for name in flow_methods.stale():
        yield f"{flow_methods.FOLDER.name}/{name} is stale: run `make docs`"


def anchors(page: Path) -> set[str]:
    """Return the names by which headings of a page can be linked to."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(text))
    return {title.replace(" ", "-") for title in titles}


def links() -> Iterator[str]:
    """Complain of links between pages that lead nowhere."""
    for page in tracked("*.md"):
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for link in _LINK.findall(text):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if ":" in path:
                continue
            if not target.exists():
                yield f"{page.relative_to(ROOT)}: {link} leads nowhere"
            elif anchor and anchor not in anchors(target):
                yield f"{page.relative_to(ROOT)}: {link}: no such heading"


def commands() -> Iterator[str]:
    """Complain of commands that pages show and the command line does not have."""
    known = set(documented.commands())
    groups = {words[0] for words in known if len(words) > 1}
    for page in tracked("*.md"):
        text = page.read_text(encoding="utf-8")
        code = [body for _, body in _FENCE.findall(text)] + _CODE.findall(_FENCE.sub("", text))
        for first, second in _COMMAND.findall("\n".join(code)):
            words = (first, second) if first in groups and second else (first,)
            if words not in known:
                yield f"{page.relative_to(ROOT)}: there is no `clary {' '.join(words)}`"


def fragments() -> Iterator[str]:
    """Complain of a changelog without fragments, or of empty ones."""
    found = sorted((ROOT / "changelog.d").glob("*.md"))
    if not found:
        yield "changelog.d holds no fragment"
    for path in found:
        if not path.read_text(encoding="utf-8").strip():
            yield f"{path.relative_to(ROOT)} is empty"


def paths() -> Iterator[str]:
    """Complain of files that name a place of the machine they were written on."""
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found = _MACHINE.search(text) or re.search(re.escape(str(ROOT)) + r"\b", text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}: names a path of one machine"


GUARDS: tuple[Callable[[], Iterator[str]], ...] = (
    sizes,
    pages,
    links,
    commands,
    fragments,
    paths,
)

if __name__ == "__main__":
    breaches = [breach for guard in GUARDS for breach in guard()]
    print("\n".join(breaches) or "guards: ok")
    sys.exit(bool(breaches))
