"""Programs of several modules of ours that run where clary is not, or must start at once."""

from __future__ import annotations

import inspect
import marshal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

START = """\
import marshal, sys
with open(sys.argv.pop(1), "rb") as file:
    modules = marshal.load(file)
for name, text in modules:
    module = sys.modules[name] = type(sys)(name)
    above, _, own = name.rpartition(".")
    setattr(sys.modules.setdefault(above, type(sys)(above)), own, module)
    exec(compile(text, name, "exec") if isinstance(text, str) else text, module.__dict__)
module.main()
"""
"""What ``python -c`` runs with the file of such a program as its first argument.

It makes each module under its full name and in its package, in order, so that they may import each
other; then it calls ``main`` of the last.
"""


def compiled(modules: Sequence[ModuleType]) -> bytes:
    """Return a program for the very interpreter that runs this."""
    made = [(one.__name__, compile(_source(one), one.__name__, "exec")) for one in modules]
    return marshal.dumps(made)


def plain(modules: Sequence[ModuleType]) -> bytes:
    """Return a program for any Python of version 3.9 or later."""
    return marshal.dumps([(one.__name__, _source(one)) for one in modules], 4)


def _source(module: ModuleType) -> str:
    return inspect.getsource(module)
