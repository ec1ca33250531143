"""The fork server: a program of its own inside a sandbox, sent there as text.

``keeper`` makes the namespaces and each job's first process, ``mold`` is the preloaded process
that jobs are forked from, ``worker`` takes on a job's place and rights, ``program`` runs Python as
its interpreter would. Nothing here imports clary but these four and ``linux``.
"""
