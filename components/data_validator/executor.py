"""Executor of DataValidator."""

from __future__ import annotations

import os

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.example_validator import executor as tfx_executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import writer_utils

from models.spec.errors import UserError

# In `accepted_dir`.
ACCEPTED = "train.stats.pb"
# Custom property of the anomalies: id of the statistics that were accepted.
STATISTICS_ID = "statistics_id"


class Executor(tfx_executor.Executor):
    """Validates statistics and stops the run on an anomaly; see `component.DataValidator`."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Runs the validation.

        Raises:
            UserError: with the readable list of anomalies.
        """
        self._tolerances = exec_properties
        accepted_dir = exec_properties.get("accepted_dir")
        self._previous = None
        if input_dict.get("previous_statistics"):
            artifact = artifact_utils.get_single_instance(input_dict["previous_statistics"])
            self._previous = _statistics(artifact)
        elif accepted_dir and fileio.exists(os.path.join(accepted_dir, ACCEPTED)):
            self._previous = tfdv.load_stats_binary(os.path.join(accepted_dir, ACCEPTED))
        self._found = []
        # Only a validation that ends is published, so this names statistics that were accepted.
        artifact_utils.get_single_instance(output_dict["anomalies"]).set_int_custom_property(
            STATISTICS_ID, artifact_utils.get_single_instance(input_dict["statistics"]).id)
        result = super().Do(input_dict, output_dict, exec_properties)
        if self._found:
            raise UserError(
                "The data does not agree with the schema or with the run before:\n"
                + "\n".join(f"  {line}" for line in self._found)
                + "\nMend the data, or, when it is meant to be so, import a schema that allows it (configuration "
                "key data.schema_path) or raise data.max_unknown_share, data.max_missing_share or data.max_drift.")
        if accepted_dir:
            _keep(_statistics(artifact_utils.get_single_instance(input_dict["statistics"])), accepted_dir)
        return result

    def _Validate(self, inputs, outputs) -> anomalies_pb2.Anomalies:
        """Validates one split; called by TFX's executor with the schema and statistics."""
        path = outputs["schema_diff_path"]
        split = os.path.basename(path).removeprefix("Split-")
        previous = self._previous if split == "train" else None
        schema = tolerant_schema(
            inputs["schema"],
            max_unknown_share=self._tolerances["max_unknown_share"],
            max_missing_share=self._tolerances["max_missing_share"],
            max_drift=self._tolerances["max_drift"],
            comparable=comparable_features(inputs["statistics"], previous) if previous else frozenset(),
            inferred=bool(self._tolerances["inferred"]),
        )
        anomalies = tfdv.validate_statistics(inputs["statistics"], schema, previous_statistics=previous)
        writer_utils.write_anomalies(os.path.join(path, tfx_executor.DEFAULT_FILE_NAME), anomalies)
        for feature, info in sorted(anomalies.anomaly_info.items()):
            for reason in info.reason:
                self._found.append(f"{split} split, feature '{feature}': {reason.short_description}: "
                                   f"{reason.description}")
        if anomalies.HasField("dataset_anomaly_info"):
            self._found.append(f"{split} split: {anomalies.dataset_anomaly_info.description}")
        return anomalies


def _statistics(artifact) -> statistics_pb2.DatasetFeatureStatisticsList:
    """The training split's."""
    return stats_artifact_utils.load_statistics(artifact, "train").proto()


def _keep(statistics: statistics_pb2.DatasetFeatureStatisticsList, folder: str) -> None:
    """Replaces the file at once: a run that is killed meanwhile leaves the ones before."""
    fileio.makedirs(folder)
    temporary = os.path.join(folder, f"{ACCEPTED}.tmp")
    with fileio.open(temporary, "wb") as file:
        file.write(statistics.SerializeToString())
    fileio.rename(temporary, os.path.join(folder, ACCEPTED), overwrite=True)


def comparable_features(
    current: statistics_pb2.DatasetFeatureStatisticsList, previous: statistics_pb2.DatasetFeatureStatisticsList
) -> frozenset[str]:
    """Names of the features that both have, with the same type: only they can drift."""

    def types(statistics) -> dict[str, int]:
        return {f.path.step[0] if f.path.step else f.name: f.type for f in statistics.datasets[0].features}

    before = types(previous)
    return frozenset(name for name, kind in types(current).items() if before.get(name) == kind)


def tolerant_schema(
    schema: schema_pb2.Schema,
    max_unknown_share: float,
    max_missing_share: float,
    max_drift: float,
    comparable: frozenset[str] = frozenset(),
    inferred: bool = True,
) -> schema_pb2.Schema:
    """A copy of a schema with tolerances where it states none of its own.

    Args:
        schema: the schema, inferred or imported.
        max_unknown_share: see `component.DataValidator`.
        max_missing_share: likewise.
        max_drift: likewise; 0 adds no comparator.
        comparable: names of the features whose drift can be measured.
        inferred: see `component.DataValidator`.
    """
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    for feature in result.feature:
        if inferred and feature.type == schema_pb2.BYTES:
            # Ids written in digits so far are strings all the same: an `N/A` among them is no anomaly.
            feature.ClearField("int_domain")
            feature.ClearField("bool_domain")
        has_domain = feature.HasField("domain") or feature.HasField("string_domain")
        if has_domain and not feature.distribution_constraints.HasField("min_domain_mass"):
            feature.distribution_constraints.min_domain_mass = 1 - max_unknown_share
        if feature.presence.min_fraction:
            feature.presence.min_fraction = max(0.0, feature.presence.min_fraction - max_missing_share)
        if feature.presence.min_count:
            feature.presence.min_count = 0
        if max_drift and feature.name in comparable and not feature.HasField("drift_comparator"):
            if feature.type == schema_pb2.BYTES:
                feature.drift_comparator.infinity_norm.threshold = max_drift
            else:
                feature.drift_comparator.jensen_shannon_divergence.threshold = max_drift
    return result
