"""The digest of all that is carried of a run: while the copy's tag holds it, there is nothing to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from mlflow.entities import LoggedModel, Metric, Run

#: The tag of a copied run that holds the digest.
STATE_TAG = "textlab.synced"
#: The tag in which a server lists the registered versions of a model, by its own numbers.
VERSIONS_TAG = "mlflow.modelVersions"


def state_of(run: Run, models: Sequence[LoggedModel], listings: Sequence[Mapping[str, tuple[int, str]]]) -> str:
    """Return the digest of a run and of the models that it made.

    Args:
        run: in the source.
        models: that it made.
        listings: of the artifacts of the run, then of each model.
    """
    facts = [_run_facts(run), [_model_facts(model) for model in models], *listings]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def point_key(point: Metric) -> tuple[int, int, str]:
    """Return what makes two points of a metric the same, NaN included."""
    return point.step, point.timestamp, repr(float(point.value))


def _run_facts(run: Run) -> list:
    info, data = run.info, run.data
    tags = {key: value for key, value in data.tags.items() if key != STATE_TAG}
    inputs = sorted((one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs)
    links = sorted(link.model_id for link in run.outputs.model_outputs)
    times = [info.start_time, info.end_time]
    return [info.run_name, info.status, *times, tags, data.params, data.metrics, inputs, links]


def _model_facts(model: LoggedModel) -> list:
    points = sorted((point.key, *point_key(point)) for point in model.metrics or [])
    tags = {key: value for key, value in model.tags.items() if key != VERSIONS_TAG}
    return [model.model_id, model.name, str(model.status), tags, model.params, points]
