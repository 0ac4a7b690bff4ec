# The job's image: FROM scratch, one layer for the static binary, one for the scripts.
#
#   docker build .            compiles in Docker, on any host
#   cargo xtask build-image   compiles on the host where it can, else by the stage `compile`, and makes the image
#                             itself: the same tree gives the same image
#
# Compiles the binary. Of the workspace, xtask is there in name only.
FROM rust:1.95-slim-bookworm AS compile
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY xtask/Cargo.toml xtask/
COPY crates crates
COPY src src
RUN mkdir xtask/src \
 && echo 'fn main() {}' > xtask/src/main.rs \
 && target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-Ctarget-feature=+crt-static --remap-path-prefix=/source=. --remap-path-prefix=$CARGO_HOME=/cargo" \
    cargo build --locked --package run-migrations --bin run-migrations --profile job --target "$target" \
 && cp "target/$target/job/run-migrations" /run-migrations

# What `cargo xtask build-image` says of the image too, see xtask/src/image/archive.rs.
FROM scratch
COPY --from=compile /run-migrations /run-migrations
COPY LICENSE /
COPY migrations /migrations
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
