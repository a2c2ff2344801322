//! kafka-optimizer.
