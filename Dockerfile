# The image of every step on Kubeflow Pipelines and Vertex AI Pipelines, and of `ctrl` anywhere else:
#
#   make image IMAGE=registry.example/ctrl:1.0
#   make image IMAGE=registry.example/ctrl:1.0-gpu DEVICE=gpu    NVIDIA's libraries too; the node brings the driver
FROM python:3.10-slim-bookworm

ARG DEVICE=cpu
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The environment first: it changes more rarely than the package.
WORKDIR /opt/ctrl
COPY install.sh requirements.lock requirements-gpu.lock ./
RUN ./install.sh "$DEVICE" python -m pip install

# Where the loader finds NVIDIA's libraries.
RUN find /usr/local/lib/python3.10/site-packages/nvidia -name lib -type d > /etc/ld.so.conf.d/nvidia.conf 2>/dev/null; \
    ldconfig

COPY setup.py README.md ./
COPY components ./components
COPY models ./models
COPY pipeline ./pipeline
COPY serving ./serving
RUN python -m pip install --no-deps --no-build-isolation .

# The launcher of Kubeflow Pipelines makes folders for artifacts in these, as the container's user.
RUN useradd --create-home --uid 1000 ctrl && mkdir -p /gcs /minio /s3 && chown ctrl:ctrl /gcs /minio /s3
USER 1000
WORKDIR /home/ctrl
ENTRYPOINT ["ctrl"]
