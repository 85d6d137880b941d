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

# hadolint ignore=DL3006 - the tag is in BASE
FROM ${BASE}
LABEL org.opencontainers.image.title="retrain-bridge" \
      org.opencontainers.image.description="From a bad metric in Prometheus to one durable, explained retrain request" \
      org.opencontainers.image.licenses="Apache-2.0"
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
