"""Submits a compiled pipeline to Kubeflow Pipelines, by its own client."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import pathlib
import tempfile
import warnings

import requests
import urllib3

from models.spec.errors import UserError
from pipeline.submission import Submission

_HEALTH = "/apis/v2beta1/healthz"
_TIMEOUT = 20
# Recurring runs of an experiment that are looked through for one of the same name.
_PAGE = 100


def submit(
    submission: Submission, host: str, *, experiment: str = "ctrl", namespace: str | None = None,
    service_account: str | None = None, token_file: pathlib.Path | None = None,
) -> str:
    """Uploads the pipeline, or a new version of it, and starts a run or a recurring one.

    A recurring run takes the place of one of the same pipeline that was submitted before.

    Args:
        submission: what is submitted.
        host: URL of the API, or of the user interface, which passes calls on.
        experiment: under which the run is listed; made where there is none of the name.
        namespace: of a Kubeflow with several users.
        service_account: the Kubernetes account that the steps run as.
        token_file: holds a bearer token.

    Returns:
        The link of the run.

    Raises:
        UserError: the host cannot be reached, or refuses.

    Example:

    ```python
    submit(Submission.read(pathlib.Path("pipeline.yaml")), "http://localhost:8888")
    ```
    """
    host = host.rstrip("/") if "://" in host else f"https://{host}".rstrip("/")
    token = _token(token_file)
    if _serves_several(host, token) and not namespace:
        raise UserError(f"--host {host}: serves several users; say with --namespace whose run it is")
    with warnings.catch_warnings(), _quiet(), tempfile.TemporaryDirectory() as folder:
        import kfp
        import kfp_server_api

        try:
            client = kfp.Client(host=host, existing_token=token, namespace=namespace or "kubeflow")
            pipeline_id, version_id = _upload(client, submission, submission.write(folder), namespace)
            arguments = {
                "experiment_id": client.create_experiment(experiment, namespace=namespace).experiment_id,
                "params": dict(submission.parameters), "pipeline_id": pipeline_id, "version_id": version_id,
                "service_account": service_account}
            if submission.cron is None:
                run = client.run_pipeline(job_name=f"{submission.name} {submission.version}", **arguments)
                return f"{host}/#/runs/details/{run.run_id}"
            return f"{host}/#/recurringrun/details/{_recur(client, submission, arguments)}"
        except kfp_server_api.ApiException as error:
            raise UserError(f"--host {host}: {_reason(error)}") from error
        # A ValueError is the client's for several pipelines or experiments of one name.
        except (OSError, TimeoutError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise UserError(f"--host {host}: {error}") from error


def _upload(client, submission: Submission, path: str, namespace: str | None) -> tuple[str, str]:
    """Ids of the pipeline and of its version that was uploaded."""
    pipeline_id = client.get_pipeline_id(submission.name)
    if pipeline_id is not None:
        version = client.upload_pipeline_version(path, submission.version, pipeline_id=pipeline_id)
        return pipeline_id, version.pipeline_version_id
    pipeline_id = client.upload_pipeline(path, submission.name, namespace=namespace).pipeline_id
    (version,) = client.list_pipeline_versions(pipeline_id, page_size=1).pipeline_versions
    return pipeline_id, version.pipeline_version_id


def _recur(client, submission: Submission, arguments: dict) -> str:
    """Id of a new recurring run, once those that it takes the place of are removed."""
    # Kubeflow's expressions begin with the seconds. A day that was missed is not made up for.
    new = client.create_recurring_run(
        job_name=submission.name, cron_expression=f"0 {submission.cron}", max_concurrency=1, no_catchup=True,
        **arguments)
    found = client.list_recurring_runs(experiment_id=arguments["experiment_id"], page_size=_PAGE).recurring_runs
    for run in found or ():
        if run.display_name == submission.name and run.recurring_run_id != new.recurring_run_id:
            client.delete_recurring_run(run.recurring_run_id)
    return new.recurring_run_id


def _token(path: pathlib.Path | None) -> str | None:
    try:
        return path and path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--token-file {path}: cannot be read: {error}") from error


def _serves_several(host: str, token: str | None) -> bool:
    """Whether the API is in multi-user mode, once it is known to answer.

    The client itself would ask five times, five seconds apart, and say less.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(f"{host}{_HEALTH}", headers=headers, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise UserError(f"--host {host}: cannot be reached: {_last(error)}; is the address right, and does `kubectl "
                        "port-forward` run where the API has none?") from error
    if answer.is_redirect or answer.status_code in (401, 403):
        raise UserError(f"--host {host}: asks who is there (HTTP {answer.status_code}); give --token-file")
    if not answer.ok:
        raise UserError(f"--host {host}: is no API of Kubeflow Pipelines 2: {_HEALTH} answers HTTP "
                        f"{answer.status_code}")
    try:
        return bool(answer.json().get("multi_user"))
    except (ValueError, AttributeError):
        raise UserError(f"--host {host}: is no API of Kubeflow Pipelines 2: {_HEALTH} answers no JSON") from None


def _last(error: BaseException) -> str:
    """The innermost reason, as `Connection refused`."""
    return str(error).rpartition(": ")[2].rpartition("] ")[2].strip("'\\\")>")


def _reason(error) -> str:
    """What the server says, which is JSON with a message where it is the API that speaks."""
    try:
        said = json.loads(error.body)
        said = said.get("error_message") or said.get("message") or said.get("error") or error.body
    except (TypeError, ValueError, AttributeError):
        said = error.body or error.reason
    return f"refused (HTTP {error.status}): {str(said).strip()}"


@contextlib.contextmanager
def _quiet():
    """The client prints links of its own, logs what it raises, and warns of what it has become."""
    level = logging.root.manager.disable
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)
