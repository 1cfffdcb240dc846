"""Submits a compiled pipeline to Vertex AI Pipelines, by its own client."""

from __future__ import annotations

import tempfile

from models.spec.errors import UserError
from pipeline.submission import Submission

_CONSOLE = "https://console.cloud.google.com/vertex-ai/locations/{region}/schedules/{schedule}?project={project}"


def submit(submission: Submission, project: str, region: str, service_account: str | None = None) -> str:
    """Starts a run, or a schedule of runs.

    Args:
        submission: what is submitted.
        project: Google Cloud project.
        region: its region, as `europe-west4`.
        service_account: the account that the steps run as.

    Returns:
        The link of the run or schedule.

    Raises:
        UserError: the client is not installed, nobody is signed in, or the service refuses.

    Example:

    ```python
    submit(Submission.read(pathlib.Path("pipeline.yaml")), "my-project", "europe-west4")
    ```
    """
    try:
        from google.api_core import exceptions
        from google.auth import exceptions as auth_exceptions
        from google.cloud import aiplatform
    except ImportError as error:
        raise UserError("--vertex needs google-cloud-aiplatform, which the extra kfp brings: pip install "
                        "'ctrl-tfx[kfp]'") from error
    if len(submission.documents) > 1:
        raise UserError("--vertex: the pipeline asks for settings of Kubernetes (resources.*.kubernetes), which Vertex "
                        "AI does not know; compile it without them")
    root = submission.documents[0]["defaultPipelineRoot"]
    if not root.startswith("gs://"):
        raise UserError(f"--vertex: the pipeline writes to {root}; Vertex AI needs a --pipeline-root in Cloud Storage, "
                        "as gs://bucket/folder")
    try:
        with tempfile.TemporaryDirectory() as folder:
            job = aiplatform.PipelineJob(
                display_name=submission.name, template_path=submission.write(folder),
                parameter_values=dict(submission.parameters), project=project, location=region)
        if submission.cron is None:
            job.submit(service_account=service_account)
            return job._dashboard_uri()
        schedule = job.create_schedule(
            cron=submission.cron, display_name=submission.name, max_concurrent_run_count=1,
            service_account=service_account)
    except auth_exceptions.GoogleAuthError as error:
        raise UserError(f"--vertex: nobody is signed in to Google Cloud ({error}); run `gcloud auth "
                        "application-default login`, or name a key file in GOOGLE_APPLICATION_CREDENTIALS") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
        raise UserError(f"--vertex: project {project}, region {region}: refused: {error}") from error
    return _CONSOLE.format(region=region, schedule=schedule.name, project=project)
