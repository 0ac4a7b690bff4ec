# The job's image: FROM scratch, one layer for the static binary, one for the scripts.
#
#   docker build .            compiles in Docker, on any host
#   cargo xtask build-image   compiles on the host where it can, and packs a context that makes two builds of the
#                             same tree give the same layers (stage `prebuilt`)
#
# The order of the stages matters: the classic builder builds every stage up to the target.

# Metadata only. It comes first because files have fixed times, so that their layers do not depend on what precedes
# them; after a change to the scripts alone the classic builder then has one step to redo.
FROM scratch AS base
USER 65532:65532
ENTRYPOINT ["/run-migrations"]
ARG VERSION=unknown COMMIT=unknown CREATED=unknown SOURCE=unknown
ENV RUN_MIGRATIONS_VERSION=$VERSION RUN_MIGRATIONS_COMMIT=$COMMIT RUN_MIGRATIONS_CREATED=$CREATED
LABEL org.opencontainers.image.title="run-migrations" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.source=$SOURCE

# Around a binary the host has compiled. A pattern may match nothing as long as its neighbour matches: in the context
# of a plain `docker build .` there is neither binary nor tar, and this stage is run through by the classic builder
# or skipped by BuildKit. The tar is unpacked at the root with the times it holds; a directory copied from the context
# would get the time of the build, hence a new layer each time.
FROM base AS prebuilt
COPY LICENSE run-migration[s] /
ADD migrations* /

# Compiles the binary. The workspace's other member is there in name only.
FROM rust:1.95-slim-bookworm AS compile
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY xtask/Cargo.toml xtask/
COPY src src
RUN mkdir xtask/src \
 && echo 'fn main() {}' > xtask/src/main.rs \
 && target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-Ctarget-feature=+crt-static --remap-path-prefix=/source=. --remap-path-prefix=$CARGO_HOME=/cargo" \
    cargo build --locked --package run-migrations --bin run-migrations --profile job --target "$target" \
 && cp "target/$target/job/run-migrations" /run-migrations

FROM base
COPY --from=compile /run-migrations /run-migrations
COPY LICENSE /
COPY migrations /migrations
