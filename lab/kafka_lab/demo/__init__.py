"""`make demo`: a fault that the optimizer cures, and one that it cannot cure."""
