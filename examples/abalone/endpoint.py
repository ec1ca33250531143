"""Make the Abalone model live, and ask it: ``python endpoint.py caught_later.csv``.

``pipeline.py`` has registered it, and ``clary models approve AbaloneModels`` lets it go into use.
"""

import sys

import pandas as pd
from pipeline import features

import clary

if __name__ == "__main__":
    caught = pd.read_csv(sys.argv[1]).head(3)
    with clary.endpoints.deploy("AbaloneModels", "abalone") as endpoint:
        rings = endpoint.predict(features(caught))
        print(caught.assign(rings=rings.round(1))[["sex", "length", "rings"]])
