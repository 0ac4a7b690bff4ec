# The job's image: FROM scratch, one layer for the static binary, one for the scripts.
#
#   docker build .            compiles in Docker, on any host
#   cargo xtask build-image   compiles on the host where it can, else by the stage `compile`, and makes the image
#                             itself: the same tree gives the same image
#
# Compiles the binary. Members of the workspace that are other programs are there in name only.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS compile
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY xtask/Cargo.toml xtask/
COPY crates crates
COPY src src
RUN for member in xtask crates/*; do \
      [ -d "$member/src" ] || { mkdir "$member/src"; echo 'fn main() {}' > "$member/src/main.rs"; touch "$member/src/lib.rs"; }; \
    done \
 && { cc -dumpfullversion && rustc -vV; } > /toolchain.txt \
 && target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-Ctarget-feature=+crt-static --remap-path-prefix=/source=. --remap-path-prefix=$CARGO_HOME=/cargo" \
    cargo build --locked --package run-migrations --bin run-migrations --profile job --target "$target" \
 && cp "target/$target/job/run-migrations" /run-migrations

# What `cargo xtask build-image` says of the image too, see crates/image/src/archive.rs.
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
