"""Flows as what runs elsewhere: Python, SQL, definitions of jobs and pipelines."""
