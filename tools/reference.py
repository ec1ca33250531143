"""Write the generated pages of docs/reference from the code itself; ``--check`` tells stale ones.

A page is a function that returns its text; adding one to ``PAGES`` adds the page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import documented
import flow_methods
import language
import spark_page
import transforms_page

from clary.doors.wire import model, operations

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).resolve().parent.parent / "docs/reference"
NOTE = "<!-- written by tools/reference.py; do not edit -->\n"


def wire_coverage() -> str:
    """List the operations offered, by service."""
    offered = operations.registry()
    lines = [
        "# Which operations the wire offers",
        "",
        "One endpoint answers all of these, in the protocols that boto3 and the `sagemaker` SDK",
        "speak. Any other operation of these services answers an error that names it: code",
        "`NotImplemented` from S3, `UnsupportedOperation` from the others.",
        "",
        "| service | offered | of |",
        "|---|---:|---:|",
    ]
    names = {
        service: sorted(name for owner, name in offered if owner == service)
        for service in model.SERVICES
    }
    lines += [
        f"| {service} | {len(names[service])} | {len(model.service(service).operations)} |"
        for service in model.SERVICES
    ]
    for service in model.SERVICES:
        listed = ", ".join(names[service]) or "None yet."
        lines += ["", f"## {service}", "", listed]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": documented.cli,
    "errors.md": documented.error_page,
    "expressions.md": language.page,
    "flows-on-spark.md": spark_page.page,
    "settings.md": documented.settings,
    "transforms.md": transforms_page.page,
    "wire-coverage.md": wire_coverage,
}


def stale() -> list[str]:
    """Name the pages that are not what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text("utf-8") != NOTE + page()
    ]


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(NOTE + page(), "utf-8")
    flow_methods.write()


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        old = stale()
        print("\n".join(f"docs/reference/{name} is stale: run `make docs`" for name in old))
        sys.exit(bool(old))
    write()
