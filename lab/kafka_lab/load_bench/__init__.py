"""`make bench-load`: our load beside Kafka's own producer tool, and a broker that stands still."""
