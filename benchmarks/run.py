"""Measure every figure we quote: `make bench`, or `make bench NAME=sandbox` for one."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(names: list[str]) -> int:
    """Run the named benchmarks, write their results, print one table."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what we start may compile once, as installed
    table = Table("benchmark", "figure", "measured", "goal", "beside it, same run", "")
    count = missed = 0
    for name in names or NAMES:
        print(f"measuring {name} …", flush=True)
        load = round(os.getloadavg()[0], 1)
        figures = importlib.import_module(f"bench_{name}").figures()
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        document = {
            "machine": machine,
            "load before": load,
            "figures": [asdict(figure) for figure in figures],
        }
        (results / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
        for figure in figures:
            count += 1
            missed += not figure.is_met
            table.add_row(
                name,
                figure.name,
                f"{figure.value:.4g} {figure.unit}",
                f"{figure.bound} {figure.goal:g}",
                f"{figure.reference}: {figure.reference_value:.4g} {figure.unit}",
                "[green]met[/]" if figure.is_met else "[red]missed[/]",
            )
    Console().print(table)
    print(f"bench: {count - missed} of {count} figures meet their goals")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
