"""Write the Abalone data as the pipelines expect them: ``python data.py FOLDER``.

The animals come from scikit-lego: 4177 of them, with lengths and weights scaled to [0, 1] and the
number of rings, which tells the age. Every tenth one is kept back as if it were caught later.

``known.csv`` and ``caught_later.csv`` are for ``pipeline.py``. The SageMaker pipelines read the
same animals as ``abalone.csv``, without a header, and ``batch.csv``, the features of those caught
later, encoded as the built-in XGBoost reads them.
"""

import sys
from pathlib import Path

import pandas as pd
from preprocessing import COLUMNS, encoder
from sklego.datasets import load_abalone


def write(folder):
    """Write the files for the SageMaker pipelines into ``folder``; return their paths."""
    known, new = animals()
    source, batch = Path(folder) / "abalone.csv", Path(folder) / "batch.csv"
    known.to_csv(source, header=False, index=False)
    features = encoder().fit(known).transform(new)
    pd.DataFrame(features).to_csv(batch, header=False, index=False)
    return source, batch


def animals():
    """Load the animals: those that are known, and those that are caught later."""
    every = load_abalone(as_frame=True)[COLUMNS]
    later = every.index % 10 == 0
    return every[~later], every[later]


def write_tables(folder):
    """Write the files for ``pipeline.py`` into ``folder``; return their paths."""
    known, new = animals()
    paths = Path(folder) / "known.csv", Path(folder) / "caught_later.csv"
    known.to_csv(paths[0], index=False)
    new.drop(columns="rings").to_csv(paths[1], index=False)
    return paths


if __name__ == "__main__":
    print(*write(sys.argv[1]), *write_tables(sys.argv[1]))
