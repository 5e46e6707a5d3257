"""Where a run happens: folders, seeds, threads, device, precision, and the fingerprint of the environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from . import InputError, __version__

#: The packages whose versions decide the outcome of a run.
PACKAGES = (
    "torch",
    "transformers",
    "datasets",
    "huggingface_hub",
    "accelerate",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "mlflow",
    "optuna",
)
#: Environment variables that cap the instruction sets or choose the kernels of ATen, oneDNN and MKL.
CAPS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
)


def project_root() -> Path:
    """Return the project folder, wherever the working directory is.

    Raises:
        InputError: the package was installed without its project folder.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "notebooks").is_dir():
        raise InputError(
            f"textlab is installed apart from its project (in {Path(__file__).parent}); "
            "run `pip install -r requirements.txt` in the project folder"
        )
    return root


def outputs_root() -> Path:
    """Return the folder for everything that runs write: `outputs/`, or what TEXTLAB_OUTPUTS says."""
    return Path(os.environ.get("TEXTLAB_OUTPUTS") or project_root() / "outputs").expanduser().absolute()


def output_dir(chosen: str, notebook: str) -> Path:
    """Return (and make) the output folder of a notebook run; an empty choice means `outputs/<notebook>`."""
    folder = Path(chosen).expanduser().absolute() if chosen else outputs_root() / notebook
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def fix(seed: int, strict: bool = False) -> None:
    """Seed everything, and fix what may differ between two equal runs on one machine.

    What costs nothing is always done: seeds; the hash seed of processes that are started from here; on CUDA no search for
    the fastest kernel, only deterministic ones of cuDNN, and cuBLAS with a workspace of fixed size. Data order, batches and the
    points of a sweep have generators of their own that are made from the seed, and no worker process loads data.

    Args:
        seed: of all generators.
        strict: refuse every operation of torch that is not deterministic, and let MKL compute alike for every alignment
            in memory. `tests/benchmarks/tolerance.py strict` measures what that costs.
    """
    import torch

    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins; so is the other by MKL
    if strict:
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    torch.use_deterministic_algorithms(strict)
    seed_everything(seed)


def quiet() -> None:
    """Silence the libraries' progress bars and notices, so that outputs hold only what a reader needs.

    Warnings stay on.
    """
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def device() -> str:
    """Return `cuda`, `mps` or `cpu`: where training runs."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision() -> str:
    """Return the training precision that the hardware is fast at: `bf16`, `fp16` or `fp32`.

    bf16 needs matrix units for it (a CPU with AMX or AVX512-BF16, an Ampere GPU or newer); on other CPUs it is
    emulated and several times slower than fp32. Older GPUs get fp16.
    """
    import torch

    if device() == "cuda":
        return "bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"
    if device() == "cpu":
        features = torch.cpu.get_capabilities()
        return "bf16" if features.get("amx_bf16") or features.get("avx512_bf16") else "fp32"
    return "fp32"


def environment() -> dict[str, str | int]:
    """Return the fingerprint of the environment: versions, machine, threads, code.

    Bit-equal results can be expected only where all of it is equal.
    """
    import torch

    features, cudnn = torch.cpu.get_capabilities(), torch.backends.cudnn
    name = torch.cuda.get_device_name() if device() == "cuda" else features.get("cpu_name", "")
    return {
        "textlab": __version__,
        **git_state(),
        "python": platform.python_version(),
        **_versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{device()} {name}".strip(),
        "precision": precision(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_features": " ".join(
            sorted(name for name, there in features.items() if there is True and name[:3] in ("avx", "amx", "fma"))
        ),
        "capped_by": " ".join(f"{name}={os.environ[name]}" for name in CAPS if name in os.environ),
        "deterministic": f"operations {'all' if torch.are_deterministic_algorithms_enabled() else 'usual'}, "
        f"cuDNN {'fixed' if cudnn.deterministic and not cudnn.benchmark else 'free'}, "
        f"cuBLAS {os.environ.get('CUBLAS_WORKSPACE_CONFIG', 'free')}",
        "threads": torch.get_num_threads(),
    }


@cache
def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in PACKAGES}


def git_state() -> dict[str, str]:
    """Return the project's git commit and whether files differ from it; empty outside a git checkout."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(project_root()), *args], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"git_commit": git("rev-parse", "HEAD"), "git_dirty": "yes" if git("status", "--porcelain") else "no"}
    except (OSError, subprocess.CalledProcessError):
        return {}


def setup(seed: int, strict: bool = False):
    """Prepare a notebook: quiet libraries, the plot style, `fix`; return a table that says what runs where."""
    import pandas

    from . import plots

    quiet()
    plots.use_style()
    pandas.set_option("display.max_colwidth", 80)
    fix(seed, strict)
    facts = environment()
    shown = {"Python": facts["python"]}
    shown |= {package: facts[package] for package in ("torch", "transformers", "datasets", "mlflow")}
    shown |= {"device": f"{facts['device']}, {facts['threads']} threads", "precision": facts["precision"], "seed": seed}
    return pandas.DataFrame({"value": shown.values()}, index=list(shown))


class ProgressLine:
    """One line that is rewritten in place, in a notebook or a terminal, at most twice a second."""

    def __init__(self) -> None:
        self._last = 0.0
        self._handle = None

    def show(self, text: str, final: bool = False) -> None:
        """Show `text` in place of the line before; `final` ends the line."""
        if not final and time.monotonic() - self._last < 0.5:
            return
        self._last = time.monotonic()
        if _in_notebook():
            self._show_in_notebook(text, final)
        elif sys.stderr.isatty():
            print(f"\r\x1b[2K{text}", end="\n" if final else "", file=sys.stderr, flush=True)
        elif final:
            print(text, file=sys.stderr)

    def _show_in_notebook(self, text: str, final: bool) -> None:
        from IPython.display import display

        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        if final:
            self._handle = None


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def duration(seconds: float) -> str:
    """Return a duration for people: `8 s`, `3 min 05 s`, `2 h 10 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
