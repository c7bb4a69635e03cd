FROM python:3.11-slim AS packages
COPY requirements.lock /
# The packages alone: an image that runs needs no pip.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /requirements.lock
# A quarter of their size is symbols for debuggers and the packages' own tests.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils \
    && find /venv -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} + \
    && find /venv/lib -type d -name tests -prune -exec rm -r {} +

FROM python:3.11-slim
RUN useradd --uid 10001 --home-dir /data --shell /usr/sbin/nologin filmgate \
    && install -d -o filmgate -g filmgate -m 700 /data \
    && printf '#!/bin/sh\nPYTHONPATH=/srv exec python -m app.cli "$@"\n' > /usr/local/bin/filmgate \
    && chmod 755 /usr/local/bin/filmgate
COPY --from=packages /venv /venv
COPY migrations /srv/migrations
COPY admin_static /srv/admin_static
COPY app /srv/app
RUN /venv/bin/python -m compileall -q /srv

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FILMGATE_HOST=0.0.0.0 \
    FILMGATE_PORT=8000 \
    FILMGATE_DATA_DIR=/data
USER filmgate
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"FILMGATE_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["filmgate"]
CMD ["serve"]
