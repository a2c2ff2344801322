# `make help` lists the targets. CI runs only `make test`.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down up down test unit check counts golden rules effect bench frozen heal sim proof proof-live diagnose tour advise bench-load suite scale soak storm fuzz lab-images

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## slow down a real broker, see the optimizer help, and undo what does not help (about 8 minutes)
	@lab/run.sh demo

demo-down: ## remove everything that make demo created
	@lab/run.sh demo-down

up: ## start the stack with the shipped time windows and leave it running
	@lab/run.sh up

down: ## remove what make up started
	@lab/run.sh down

test: ## all tests, including those on a live cluster; leaves nothing behind
	@lab/test.sh

unit: ## every test that needs no cluster, no engine and no root; the same as `cargo test`
	cargo test
	@echo 'Left out: tests/live (make test), tests/measured (make scale, make soak, make storm), tests/proof (make proof).'

check: ## what every commit must pass: format, lints, documentation, counts, the tests of lab/
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --document-private-items
	lab/counts.py
	lab/lint.sh

counts: ## what makes the code hard to read, counted: now, allowed, and at a commit (AT=rev); LIST=key prints the places
	@lab/counts.py $(if $(AT),--at $(AT)) $(if $(LIST),--list $(LIST))

golden: ## rewrite the golden files and the generated documents, and show what changed
	UPDATE_GOLDEN=1 cargo test --quiet --lib
	UPDATE_GOLDEN=1 cargo test --quiet --test it
	git diff --stat

rules: ## check and test the files for Prometheus and Alertmanager
	@lab/rules.sh

effect: ## time from a stored alert to 8 -> 16 threads effective on three brokers: median of 10
	@lab/run.sh effect

bench: ## cost of this exporter and its peers on a real cluster of three sizes (about 40 minutes)
	@lab/run.sh bench

bench-load: ## throughput of `load` beside Kafka's own producer tool, and a broker that stands still for 2 s (about 10 minutes)
	@lab/run.sh bench-load

suite: ## load, analyze, stress, analyze, rehearse, analyze and a report on a real cluster (about 10 minutes; SCALE=0.1)
	@lab/run.sh suite

frozen: ## what this exporter and its peers show while a broker hangs (about 10 minutes)
	@lab/run.sh frozen

heal: ## faults on a real cluster: fixed, or undone exactly, and no record lost (about 70 minutes, 20 of them kafka-away-at-expiry; ONLY=leaders,flood)
	@lab/run.sh heal

sim: ## 1,000 random runs of the simulated world, and ten deliberate breaches that it has to detect (about 7 minutes; SEEDS=n, SEED=n)
	@lab/sim.sh

proof: ## how often a verdict is wrong, and how often it sees an improvement, in simulated worlds (up to 45 minutes; ONLY=queue,spell, CLUSTERS=n)
	@lab/proof.sh

proof-live: ## the same on a real cluster: 30 runs that change nothing, 10 that help (about 90 minutes; UNCHANGED=n, CURES=n)
	@lab/run.sh proof-live

diagnose: ## ten bottlenecks on a real cluster, three pairs of them, and none at all: does analyze name the cause (about 40 minutes; ONLY=slow_disk,pairs,none)
	@lab/run.sh diagnose

tour: ## every command on a real cluster, with what it prints: writes docs/tour.md (about 15 minutes)
	@lab/run.sh tour

advise: ## advice to clients on one real broker: each estimate beside what is measured (about 8 minutes)
	@lab/run.sh advise

scale: ## CPU, memory and requests of a round and a scrape, up to 200,000 partitions (about 4 minutes)
	@lab/scale.sh

soak: ## a day of collection rounds in minutes, with topics and groups that come and go: nothing may leak
	@lab/soak.sh

storm: ## 10,000 alerts per minute for five minutes, from two Alertmanagers: none lost, answered in time
	@lab/storm.sh

fuzz: ## 200,000 hostile responses, bodies and configurations (INPUTS=n, SEED=n)
	@lab/fuzz.sh

lab-images: ## get an engine and all images of the stack, nothing else
	@lab/engine.sh up && lab/images.sh
