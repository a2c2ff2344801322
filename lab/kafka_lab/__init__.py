"""The lab: starts a real Kafka cluster, breaks it, and checks what the optimizer does about it.

Python 3.11 and its standard library; Docker Compose does the rest. `lab/README.md` says how the
modules belong together.
"""
