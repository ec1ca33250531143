"""Data flows: data wrangled once, run on a sample, on all the data, on Spark and on one record.

A flow is a graph of nodes (``model``). A node's transform (``transforms``) learns its state with
SQL aggregates (plain JSON, ``fitted``) and becomes steps (``steps``), which the engines run alike:
``batch`` with DuckDB, ``records`` as a compiled function, ``spark`` as text.
"""
