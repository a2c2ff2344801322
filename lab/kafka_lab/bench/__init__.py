"""`make bench` and `make frozen`: this exporter and its peers on one real cluster."""
