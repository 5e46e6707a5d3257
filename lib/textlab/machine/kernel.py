"""The papermill plugin: kernels talk over an encrypted connection.

By default a kernel listens on plain TCP, where everybody on the machine can read along. Papermill loads this module
through an entry point, so every caller gets encryption: `papermill`, `python -m textlab run` and the tests.
"""

from __future__ import annotations

from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config


class EncryptedEngine(NBClientEngine):
    """Papermill's own engine, with transport encryption required."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **options):
        """Run the notebook; see papermill's NBClientEngine."""
        options.setdefault("config", Config({"KernelManager": {"transport_encryption": "required"}}))
        return super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(None, EncryptedEngine)  # None is the engine that papermill takes when none is named
