"""Queues of messages between programs, and the pipeline steps that wait for an answer."""
