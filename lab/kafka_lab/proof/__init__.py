"""`make proof-live`: verdicts on a real cluster, of runs that change nothing and of cures."""
