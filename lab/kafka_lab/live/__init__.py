"""The stacks of the live tests (tests/live), and `make effect`."""
