"""What arrives, and what is marked, when processes are killed, collectors misbehave and disks are full.

Each test compares what the client did, by a journal that it writes through to the disk, with the rows of
``otel_traces``. ``make test-faults`` runs them; ``make test`` does not.
"""
