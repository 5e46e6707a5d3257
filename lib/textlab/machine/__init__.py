"""Where a run happens: folders, whole files, digests and progress.

Three modules of it need packages that a fresh machine has yet to install, and are imported as modules: `environment`
(seeds, device, fingerprint), `processes` and `colab`. The rest is the standard library, so `colab` can install them.
"""

from .files import hash_files, plain, sha256, whole_file, write_text
from .folders import output_dir, outputs_root, project_root
from .progress import ProgressLine, duration

__all__ = [
    "ProgressLine",
    "colab",
    "duration",
    "environment",
    "hash_files",
    "output_dir",
    "outputs_root",
    "plain",
    "processes",
    "project_root",
    "sha256",
    "whole_file",
    "write_text",
]
