"""`make heal`: faults on a real cluster, each held against what the optimizer promises."""
