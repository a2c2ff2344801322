"""Three pieces of advice: asked for under a load, applied to it, and measured at the broker.

What is measured are the broker's own counters, which no estimate is made from.
"""

from __future__ import annotations

from .bench import Advice, Bench
from .result import Outcome

REQUESTS = "kafka_network_requestmetrics_totaltimems_count_total"
BYTES_IN = "kafka_server_brokertopicmetrics_bytesin_total"
RECORDS_IN = "kafka_server_brokertopicmetrics_messagesin_total"
SECONDS = 30.0  # of one measurement


def properties(advice: Advice) -> list[str]:
    return [f"{key}={value}" for key, value in advice.settings.items()]


def batching(bench: Bench, outcome: Outcome) -> Outcome:
    """Produce requests a second: without batching each batch is one."""
    topic = "advise-batching"
    bench.create_topic(topic, 6)
    with bench.producing(topic, 400, "linger.ms=0"):
        advice = bench.advice("batching", f"topic {topic}", "batches_per_second")
        before = bench.rate(REQUESTS, SECONDS, request="Produce")
    with bench.producing(topic, 400, *properties(advice)):
        after = bench.rate(REQUESTS, SECONDS, request="Produce")

    bench.waiter.progress.say(f"batching: {properties(advice)}, {before:.0f} -> {after:.1f}/s")
    return outcome.with_numbers(advice.after, after)


def compression(bench: Bench, outcome: Outcome) -> Outcome:
    """Bytes that a record takes at the broker, with its share of the batch's header."""
    topic = "advise-compression"
    bench.create_topic(topic, 1)
    batches = ("linger.ms=50", "batch.size=16384")

    def bytes_per_record() -> float:
        bytes_in = bench.rate(BYTES_IN, SECONDS, topic=topic)
        return bytes_in / bench.rate(RECORDS_IN, SECONDS, topic=topic)

    with bench.producing(topic, 400, *batches, "compression.type=none"):
        advice = bench.advice("compression", f"topic {topic}", "bytes_per_record")
        before = bytes_per_record()
    with bench.producing(topic, 400, *batches, *properties(advice)):
        after = bytes_per_record()

    bench.waiter.progress.say(
        f"compression: {properties(advice)}, {before:.0f} -> {after:.1f} bytes a record"
    )
    return outcome.with_numbers(advice.after, after)


def fetch_size(bench: Bench, outcome: Outcome) -> Outcome:
    """Fetches of consumers a second."""
    topic = "advise-fetch"
    bench.create_topic(topic, 3)
    with bench.producing(topic, 300, "linger.ms=0"):
        with bench.consuming(topic, "advise-before"):
            advice = bench.advice("fetch_size", "cluster", "fetches_per_second")
            before = bench.rate(REQUESTS, SECONDS, request="FetchConsumer")
        with bench.consuming(topic, "advise-after", *properties(advice)):
            after = bench.rate(REQUESTS, SECONDS, request="FetchConsumer")

    bench.waiter.progress.say(f"fetch_size: {properties(advice)}, {before:.0f} -> {after:.1f}/s")
    return outcome.with_numbers(advice.after, after)


CHECKS = {"batching": batching, "compression": compression, "fetch_size": fetch_size}
