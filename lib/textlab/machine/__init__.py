"""Where a run happens: folders, whole files, digests and progress.

`environment` (seeds, device, fingerprint) and `processes` need packages that a fresh machine has yet to install, so
they are imported as modules. The rest needs the standard library alone: `colab` can be imported to install the others.
"""

from .files import hash_files, plain, sha256, whole_file, write_text
from .folders import expanded, make_folder, output_dir, outputs_root, project_root
from .progress import ProgressLine, duration
