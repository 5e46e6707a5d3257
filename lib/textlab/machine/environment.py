"""Seeds, threads, device, precision, and the fingerprint of the environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import subprocess
from functools import cache

import numpy
import torch
import transformers

from .folders import project_root

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


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def fix(seed: int, strict: bool = False) -> None:
    """Seed everything, and fix what may differ between two equal runs on one machine.

    What costs nothing is always fixed: all seeds, and the hash seed of processes that are started from here. On CUDA,
    cuDNN uses deterministic kernels and does not search for the fastest one; cuBLAS has a workspace of fixed size. Data
    order, batches and trials have their own generators, made from the seed, and no worker process loads data.

    Args:
        seed: of all generators.
        strict: refuse every operation of torch that is not deterministic, and let MKL compute alike for every alignment
            in memory. `tests/benchmarks/tolerance.py strict` measures what that costs.
    """
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it begins, as MKL does its own
    if strict:
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    torch.use_deterministic_algorithms(strict)
    seed_everything(seed)


def quiet() -> None:
    """Silence the libraries' progress bars and notices, so that outputs hold only what a reader needs.

    Warnings stay on.
    """
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def device() -> str:
    """Return `cuda`, `mps` or `cpu`: where training runs."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision() -> str:
    """Return the training precision that the hardware is fast at: `bf16`, `fp16` or `fp32`.

    bf16 needs hardware for it: a CPU with AMX or AVX512-BF16, or an Ampere GPU or newer. Other CPUs emulate it several
    times slower than fp32, so they get fp32; older GPUs get fp16.
    """
    if device() == "cuda":
        return "bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"
    if device() == "cpu":
        features = torch.cpu.get_capabilities()
        return "bf16" if features.get("amx_bf16") or features.get("avx512_bf16") else "fp32"
    return "fp32"


def fingerprint() -> dict[str, str | int]:
    """Return the fingerprint of the environment: versions, machine, threads, code.

    Bit-equal results can be expected only where all of it is equal.
    """
    features, cudnn = torch.cpu.get_capabilities(), torch.backends.cudnn
    name = torch.cuda.get_device_name() if device() == "cuda" else features.get("cpu_name", "")
    return {
        "textlab": importlib.metadata.version("textlab"),
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
