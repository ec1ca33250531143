"""Make the Abalone model live, and ask it: ``python endpoint.py caught_later.csv``.

``pipeline.py`` has registered it, and ``clary models approve AbaloneModels`` lets it go into use.
In front of it stands the flow, with what the pipeline has learned: requests hold animals as they
were measured.
"""

import sys

import pandas as pd
from pipeline import abalone, features

import clary

if __name__ == "__main__":
    caught = pd.read_csv(sys.argv[1]).head(3)
    learned = abalone.newest()["learn"].result()
    before = features.with_learned(learned).inference(absent=["rings"])
    with clary.endpoints.deploy([before, "AbaloneModels"], "abalone") as endpoint:
        rings = endpoint.predict(caught)
        print(caught.assign(rings=rings.round(1))[["sex", "length", "rings"]])
