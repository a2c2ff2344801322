# The image for a cluster of your own:  docker build -t kafka-optimizer .
# The lab does not use it: lab/images/optimizer/Dockerfile copies the binary that cargo has already built.
FROM rust:1-bookworm AS build
WORKDIR /src
# librdkafka's TLS is the system's OpenSSL.
RUN apt-get update && apt-get install -y --no-install-recommends libssl-dev pkg-config && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
# Only the dependencies, so that a change of the sources does not rebuild librdkafka and SQLite.
RUN mkdir -p src tests/it && echo 'fn main() {}' > src/main.rs && touch src/lib.rs tests/it/main.rs && \
    cargo build --release --locked && rm -rf src tests
COPY src src
RUN mkdir -p tests/it && touch tests/it/main.rs src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin optimizer && \
    mkdir -p /var/lib/kafka-optimizer /etc/kafka-optimizer && chown optimizer: /var/lib/kafka-optimizer
COPY --from=build /src/target/release/kafka-optimizer /usr/local/bin/
USER 65532:65532
WORKDIR /var/lib/kafka-optimizer
VOLUME /var/lib/kafka-optimizer
EXPOSE 9308
ENTRYPOINT ["/usr/local/bin/kafka-optimizer"]
CMD ["serve", "--config.file=/etc/kafka-optimizer/kafka-optimizer.yml"]
