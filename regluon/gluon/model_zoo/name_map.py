"""Weights under the names of other libraries, renamed for the same architecture here."""

from collections.abc import Iterable, Mapping, Sequence

from regluon.base import FormatError, nearest
from regluon.gluon.model_zoo.network import LayerNames, ZooNetwork
from regluon.gluon.model_zoo.store import Tensors
from regluon.gluon.utils import brief_list


# A layer's parameters here and in torch; the others have the same name in both.
_TORCH = {"gamma": "weight", "beta": "bias"}

# Torch counts the batches that its batch norms have seen; nothing here depends on it.
_IGNORED = "num_batches_tracked"

_SHOWN = 5  # how many wrong names an error lists


def renamed(network: ZooNetwork, tensors: Tensors, where: str) -> Tensors:
    """Return tensors that a torch library saved under the names that `network` has for them.

    Tensors under names of another kind come back as they are. A name too many or too few is a
    `FormatError` that offers the nearest ones; `where` is what the tensors are from.
    """
    best: dict[str, str] = {}
    library, known = "", sum(name in network.structural_params() for name in tensors)
    for candidate, layers in network.foreign_names().items():
        table = parameter_names(network, layers)
        count = sum(foreign in tensors for foreign in table.values())
        if count > known:
            best, library, known = table, candidate, count
    if not best:
        return tensors
    _check(network, best, tensors, f"{where}, by its names a file of {library},")
    return {own: tensors[foreign] for own, foreign in best.items()}


def parameter_names(network: ZooNetwork, layers: LayerNames) -> dict[str, str]:
    """Return the torch name of every parameter of the network, by structural name."""
    names = {}
    for own in network.structural_params():
        layer, _, parameter = own.rpartition(".")
        if layer in layers:
            names[own] = f"{layers[layer]}.{_TORCH.get(parameter, parameter)}"
    return names


def _check(
    network: ZooNetwork, table: Mapping[str, str], tensors: Iterable[str], where: str
) -> None:
    """Raise unless the tensors are exactly those of the table, but for torch's counts."""
    given = [name for name in tensors if not name.endswith(_IGNORED)]
    wanted = list(table.values())
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if not missing and not extra:
        return
    parts = [f"it lacks {_with_nearest(missing, extra)}"] if missing else []
    parts += [f"it has {_with_nearest(extra, missing)}, unknown here"] if extra else []
    hint = f". {network.foreign_hint}" if network.foreign_hint else ""
    raise FormatError(
        f"{where} does not fit {type(network).__name__}: {'; '.join(parts)}. "
        f"It holds {brief_list(given)}{hint}"
    )


def _with_nearest(names: Sequence[str], others: Sequence[str]) -> str:
    """Return the first of some wrong names, each with the nearest of those without a partner."""
    parts = [f"{name!r}{nearest(name, others, 1).rstrip('?')}" for name in names[:_SHOWN]]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return " | ".join(parts) + more
