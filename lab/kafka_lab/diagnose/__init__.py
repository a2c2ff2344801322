"""`make diagnose`: bottlenecks on a real cluster, and whether `analyze` names the right cause."""
