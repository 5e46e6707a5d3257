"""Workers of a study on a Ray cluster. Ray places them, and starts them again when a node dies."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

from ...errors import InputError


def run(study: Any, work: Callable[[dict, float], None], deadline: float) -> None:
    """Run the trials of a study, as many at once as its options say, until all are done or the time is up.

    It uses the cluster that RAY_ADDRESS names, or makes one of this machine. Each worker loads data and model by
    itself, so a `dataset` that is a path must be there on every node.

    Args:
        study: the `Sweep` whose trials to run.
        work: takes the parameters of notebook 3 and the time at which no more trials are begun, and runs trials.
        deadline: on the clock of `time.monotonic`.

    Raises:
        InputError: Ray is not installed.
    """
    try:
        import ray  # an extra, and only this engine needs it
    except ImportError:
        raise InputError("engine: ray is not installed; run: pip install -e '.[cluster]'") from None
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False, configure_logging=False)
    chosen = study.options
    values = vars(study.cfg) | {
        "output_dir": str(study.bench.out),
        "study": study.name,
        "sweep_options": dataclasses.asdict(chosen) | {"storage": study.storage},
    }
    task = ray.remote(num_cpus=chosen.trial_cpus or os.cpu_count(), num_gpus=chosen.trial_gpus, max_retries=10)(work)
    waiting = [task.remote(values, time.time() + deadline - time.monotonic()) for _ in range(chosen.parallel)]
    try:
        while waiting:
            done, waiting = ray.wait(waiting, timeout=1)
            ray.get(done)
            study.show()
    finally:
        for reference in waiting:
            ray.cancel(reference)
        if started:
            ray.shutdown()
