# Base images from Debian's packages, for a machine that reaches no registry of images. Sourced by tests/deploy/compose.
#
# Each stands for the published image that is the default in docker-compose.yml, with the same interface: user, paths,
# entry point. An image is made again when its recipe has changed.

# What the defaults of deploy/Dockerfile, rust:*-bookworm and distroless cc-debian12, stand on.
readonly BASE_SUITE=bookworm
# Where Debian has Postgres 17 and a Prometheus with its own page of health.
readonly SERVER_SUITE=trixie

readonly BUILD_IMAGE=assent-test/build RUNTIME_IMAGE=assent-test/runtime POSTGRES_IMAGE=assent-test/postgres
readonly NATS_IMAGE=assent-test/nats PROMETHEUS_IMAGE=assent-test/prometheus

# The tag of an image: its recipe, and what else decides.
recipe_digest() { # function, more
    { declare -f debian "$1" && echo "$@"; } | sha256sum | cut -c 1-12
}

# A file system of Debian packages as a tar archive.
debian() { # suite, variant, packages
    mmdebstrap --quiet --mode=root --variant="$2" --include="$3" --keyring="$debian_keys" "$1" "$4" \
        "deb [signed-by=$debian_keys] http://deb.debian.org/debian $1 main"
}

# Makes an image unless it is there, from the context that a function leaves in an empty directory.
make_image() { # name, function, what else decides...
    local name=$1 recipe=$2 context=$work/context digest
    shift
    digest=$(recipe_digest "$@")
    if docker image inspect "$name:$digest" >/dev/null 2>&1; then
        echo "$name:$digest is there"
    else
        rm -rf "$context" && mkdir "$context" && (cd "$context" && "$recipe") &&
            docker build --quiet --tag "$name:$digest" "$context" && rm -rf "$context" || return 1
    fi
    docker tag "$name:$digest" "$name:latest"
}

# Rust as this machine has it, with dev builds as cheap as they get. The certificates are this machine's, which may stand
# behind a proxy with an authority of its own.
build_image() {
    local sysroot
    sysroot=$(rustc --print sysroot) &&
        debian "$BASE_SUITE" minbase gcc,g++,libc6-dev,make,ca-certificates rootfs.tar &&
        mkdir rust && cp -a "$sysroot/bin" "$sysroot/lib" rust/ &&
        cp -L /etc/ssl/certs/ca-certificates.crt certificates.crt &&
        printf '[profile.dev]\ndebug = false\n[profile.dev.package."*"]\nopt-level = 0\n' >cargo.toml &&
        cat >Dockerfile <<'DOCKERFILE'
FROM scratch
ADD rootfs.tar /
COPY rust /usr/local/rust
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY cargo.toml /usr/local/cargo/config.toml
ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CARGO_HOME=/usr/local/cargo CARGO_INCREMENTAL=0 CARGO_TERM_PROGRESS_WHEN=never CARGO_NET_RETRY=10
DOCKERFILE
}

# The C library and libgcc_s, unpacked: no shell and no package manager, like distroless.
runtime_image() {
    debian "$BASE_SUITE" extract libc6,libgcc-s1 rootfs.tar && printf 'FROM scratch\nADD rootfs.tar /\n' >Dockerfile
}

postgres_image() {
    debian "$SERVER_SUITE" minbase postgresql-17 rootfs.tar && cp "$here/engine/postgres-entrypoint" . &&
        cat >Dockerfile <<'DOCKERFILE'
FROM scratch
ADD rootfs.tar /
COPY postgres-entrypoint /usr/local/bin/
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
DOCKERFILE
}

# The alpine variant runs as root, has wget, and puts the server before arguments.
nats_image() {
    cp "$ASSENT_TEST_NATS_SERVER" nats-server && cp /bin/busybox busybox && mkdir bin tmp data &&
        ln -s busybox bin/wget && ln -s busybox bin/sh && mv busybox bin/ &&
        cat >Dockerfile <<'DOCKERFILE'
FROM scratch
COPY bin /bin
COPY tmp /tmp
COPY data /data
COPY nats-server /usr/local/bin/
ENV PATH=/usr/local/bin:/bin
ENTRYPOINT ["/usr/local/bin/nats-server"]
DOCKERFILE
}

# Runs as nobody over a volume that is nobody's, and has busybox' wget.
prometheus_image() {
    debian "$SERVER_SUITE" minbase prometheus rootfs.tar && cp /bin/busybox busybox &&
        cat >Dockerfile <<'DOCKERFILE'
FROM scratch
ADD rootfs.tar /
COPY busybox /bin/busybox
RUN ln -s busybox /bin/wget && install -d -o nobody -g nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
DOCKERFILE
}

make_base_images() {
    # A binary that is given needs nothing to compile it.
    { [[ -n $binary ]] || make_image "$BUILD_IMAGE" build_image "$(rustc --version)"; } &&
        make_image "$RUNTIME_IMAGE" runtime_image &&
        make_image "$POSTGRES_IMAGE" postgres_image "$(<"$here/engine/postgres-entrypoint")" &&
        make_image "$NATS_IMAGE" nats_image "$("$ASSENT_TEST_NATS_SERVER" --version)" &&
        make_image "$PROMETHEUS_IMAGE" prometheus_image
}
