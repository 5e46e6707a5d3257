"""This room alone talks to MLflow: stores, recording, queries, models, pages, and carrying runs to another store."""

import os

import lazy_loader

# MLflow would send usage statistics, and fill notebooks with progress bars and links. It would wait four minutes for a
# dead server, and see no load in a run below ten seconds. And while another thread reads variables, it could not log a
# model.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "5",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}.items():
    os.environ.setdefault(_name, _value)  # they are read when MLflow is imported

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["addresses", "server", "store", "sync"],
    {
        "queries": [
            "final_scores",
            "guards_of",
            "metric_history",
            "models",
            "predictions",
            "recorded",
            "runs",
            "search_space",
        ],
        "recording": [
            "POINT_TAG",
            "ROLE_TAG",
            "SELECTION_METRIC",
            "STUDY_TAG",
            "attach",
            "close_lost",
            "connect",
            "data_inputs",
            "flat",
            "log_card",
            "log_environment",
            "log_figure",
            "log_frame",
            "log_inputs",
            "log_params",
            "log_point",
            "log_predictions",
            "log_scores",
            "log_table",
            "make_run",
            "mark_pick",
            "outcome",
            "require_run",
            "run",
            "set_tags",
        ],
        "registry": [
            "champion_of",
            "load_model",
            "log_model",
            "model_folder",
            "model_versions",
            "require_version",
            "set_alias",
            "version_of",
        ],
        "run_logger": ["RunLogger", "log_history"],
    },
)
