#!/usr/bin/env bash
# Cargo's RUSTC_WORKSPACE_WRAPPER for `make sim`: compiles this crate, and no dependency, with the breaches of src/remediation/breach.rs.
# Bash, because sh drops CARGO_BIN_EXE_kafka-optimizer, whose name has a hyphen.
exec "$@" --cfg breach
