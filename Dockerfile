# The base can be any image with Python 3.11 or newer and its venv module. Both stages must use the same one, because the
# virtual environment refers to its interpreter.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

# hadolint ignore=DL3006 - the tag is in BASE
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bridge ./bridge
COPY rules/packs ./rules/packs
RUN python3 -m venv /opt/retrain-bridge && \
    /opt/retrain-bridge/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint=constraints.txt '.[postgresql]' && \
    mkdir /data
# What the bridge never runs: installers, tests, type stubs, C sources, syntax colours and dates of other languages.
# hadolint ignore=DL3003
RUN cd /opt/retrain-bridge/lib/python3*/site-packages && \
    rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth \
        numpy/f2py numpy/distutils numpy/_core/*_tests.*.so numpy/_core/_simd.*.so sqlalchemy/testing && \
    find . -type d -name tests -prune -exec rm -rf {} + && \
    find . \( -name '*.pyi' -o -name '*.a' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.c' \) -delete && \
    find pygments/lexers -type f ! -name '__init__*' ! -name '_mapping*' ! -name 'python*' ! -name 'special*' -delete && \
    find dateparser/data/date_translation_data -type f ! -name '__init__*' ! -name 'en.*' -delete && \
    rm -f /opt/retrain-bridge/bin/pip* /opt/retrain-bridge/bin/*activate*

# The software bill of materials of what is left, made by a tool that does not stay.
RUN export PYTHONDONTWRITEBYTECODE=1 && \
    python3 -m venv /opt/sbom && \
    /opt/sbom/bin/python -m pip install --no-cache-dir --disable-pip-version-check cyclonedx-bom==7.5.0 && \
    mkdir -p /opt/retrain-bridge/share && \
    /opt/sbom/bin/cyclonedx-py environment --validate --output-reproducible --output-format JSON \
        --output-file /opt/retrain-bridge/share/sbom.cdx.json /opt/retrain-bridge/bin/python

# hadolint ignore=DL3006 - the tag is in BASE
FROM ${BASE}
# Set by the release: --build-arg VERSION=... --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=<repository>
ARG BASE
ARG VERSION=unreleased
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="retrain-bridge" \
      org.opencontainers.image.description="From a bad metric in Prometheus to one durable, explained retrain request" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /opt/retrain-bridge /opt/retrain-bridge
COPY --from=build --chown=65532:65532 /data /var/lib/retrain-bridge
ENV PATH=/opt/retrain-bridge/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /var/lib/retrain-bridge
VOLUME ["/var/lib/retrain-bridge"]
EXPOSE 9095 8090
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["retrain-bridge", "healthcheck"]
ENTRYPOINT ["retrain-bridge"]
CMD ["run", "--config.file=/etc/retrain-bridge/bridge.yml", "--storage.path=/var/lib/retrain-bridge", \
     "--web.listen-address=:9095"]
