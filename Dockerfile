# syntax=docker/dockerfile:1
# HelixAI in an image: built in one stage, run in another that holds the program and nothing to build with.
#
#   docker build -t helixai .
#   docker compose -f packaging/compose.yaml up

FROM rust:1-slim-bookworm AS build
# mimalloc is compiled from C.
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# Only what the program is made of (.dockerignore), so that a changed document does not build it again. SQL of the registry is
# checked against .sqlx, without a database.
COPY . .
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin helixai && cp target/release/helixai /helixai

FROM debian:bookworm-slim
# curl asks for the health; the certificates are for what curl is told to ask elsewhere.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/helixai --shell /usr/sbin/nologin helixai \
    && install --directory --owner=helixai --group=helixai --mode=0700 /var/lib/helixai /var/lib/helixai/storage /var/log/helixai
COPY --from=build /helixai /usr/local/bin/helixai

USER 10001:10001
WORKDIR /var/lib/helixai
ENV HELIXAI__SERVER__BIND=0.0.0.0 \
    HELIXAI__STORAGE__FOLDER=/var/lib/helixai/storage \
    HELIXAI__LOGGING__DIR=/var/log/helixai \
    HELIXAI__LOGGING__FORMAT=json
VOLUME ["/var/lib/helixai", "/var/log/helixai"]
EXPOSE 8080
# Whether this process and its databases answer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["helixai"]
CMD ["serve"]
