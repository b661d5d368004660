"""Names that do not exist: what MXNet has and this release has not, and the nearest name that is.

Modules answer with it when they are asked for an attribute that they have not.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

from regluon.base import nearest
from regluon.ops.registry import NAMESPACES


Reasons = tuple[tuple[str, str], ...]

ABSENT: Reasons = (
    (
        "arithmetic with 8-bit integers: quantize a network with PyTorch's tools",
        "nd.contrib.quantize* nd.contrib.dequantize nd.contrib.requantize "
        "nd.contrib.calibrate_entropy",
    ),
    (
        "sampling of graphs in CSR matrices; sparse arrays do not exist here",
        "nd.contrib.dgl_* nd.contrib.edge_id nd.contrib.getnnz",
    ),
    (
        "windows of detectors that torchvision.ops has, for `TorchBlock`",
        "nd.contrib.*Deformable* nd.contrib.*Proposal nd.contrib.PSROIPooling nd.contrib.RROIAlign",
    ),
    ("the likelihood of one point process: write it with `foreach`", "nd.contrib.hawkesll"),
    (
        "a backward kernel that MXNet shows by accident: gradients come from `backward()`",
        "nd.contrib.backward_*",
    ),
    ("comes with `gluon.rnn`", "nd.RNN npx.rnn"),
    ("MXNet's own way to call a hybridized block", "nd.CachedOp"),
    (
        "a part of MXNet's indexing, public by accident",
        "nd.get_indexing_dispatch_code nd.get_oshape_of_gather_nd_op "
        "nd.indexing_key_expand_implicit_axes",
    ),
    ("the number of a C structure, and a flag about it", "*.handle *.writable"),
    (
        "financial functions, which NumPy gave up: the package numpy-financial has them",
        "np.mirr np.npv np.ppmt np.pv np.rate",
    ),
    ("a check inside MXNet's `gluon.probability`", "npx.constraint_check"),
    ("pictures are read by `mx.image`", "nd.imdecode"),
    (
        "all of `mx.image`, which MXNet imports here: use `mx.image` itself, and the transforms "
        "of `gluon.data.vision` in place of augmenters",
        "npx.image.*",
    ),
    ("sparse arrays do not exist here", "nd.sparse"),
    ("all operators are in `nd` itself", "nd.op nd._internal"),
    ("recurrent layers come with a later release", "gluon.rnn rnn"),
    (
        "this loss comes with a later release",
        "gluon.loss.CTCLoss gluon.loss.CosineEmbeddingLoss gluon.loss.PoissonNLLLoss "
        "gluon.loss.SDMLLoss gluon.loss.TripletLoss",
    ),
    (
        "graphs as symbols come with a later release: write blocks with `forward` or "
        "`hybrid_forward`, which `hybridize()` accepts",
        "sym symbol gluon.SymbolBlock gluon.nn.SymbolBlock AttrScope attribute name executor* "
        "np_symbol viz visualization",
    ),
    (
        "training by module and symbol is not planned: use `gluon.Trainer` and `autograd.record()`",
        "mod module model callback mon monitor notebook",
    ),
    ("use `gluon.data.DataLoader`", "io"),
    ("record files come with a later release", "recordio"),
    ("gluon.contrib comes with a later release", "gluon.contrib"),
    ("use `numpy.testing` or `torch.testing`", "test_utils"),
    (
        "a part of MXNet's machinery: what there is to ask about is in `mx.util`, `mx.context`",
        "api error libinfo library log ndarray_doc symbol_doc numpy_* registry rtc runtime tvmop "
        "gluon.tensor_types",
    ),
    ("Lua's torch: use `gluon.nn.TorchBlock` and `nd.from_torch`", "th torch"),
    ("networks of ONNX files: convert them with PyTorch's tools", "onnx contrib.onnx"),
    (
        "of MXNet's experiments, there are the operators of `mx.nd.contrib` and mixed precision, "
        "`contrib.amp`",
        "contrib.*",
    ),
    (
        "it converts symbols, which come with a later release: use `convert_hybrid_block`",
        "amp.convert_model amp.convert_symbol amp.convert_bucketing_module",
    ),
)
"""Why names of MXNet are missing: patterns of `namespace.name`, the first that fits counts."""


def reason(reasons: Reasons, name: str) -> str:
    """Return why a name `namespace.name` is as it is, or an empty string.

    >>> reason(ABSENT, "nd.contrib.dgl_subgraph")
    'sampling of graphs in CSR matrices; sparse arrays do not exist here'
    """
    for text, patterns in reasons:
        if any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            return text
    return ""


def refused(space: str, known: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module: it raises AttributeError with the best advice it has.

    `space` is the module's name after `mx.`, empty for `mx` itself; `known` are its attributes.

    >>> refused("nd", {"topk": 0})("top_k")
    Traceback (most recent call last):
    AttributeError: mx.nd has no 'top_k'; did you mean 'topk'?
    >>> refused("np", {})("one_hot")
    Traceback (most recent call last):
    AttributeError: mx.np has no 'one_hot'; there is mx.npx.one_hot
    """
    title = f"mx.{space}" if space else "mx"

    def missing(name: str) -> Any:
        if name.startswith("__"):  # Python asks for these, not a person
            raise AttributeError(f"{title} has no {name!r}")
        why = reason(ABSENT, f"{space}.{name}" if space else name)
        if why:
            raise AttributeError(
                f"{title}.{name} is not in this release: {why}; docs/from_mxnet.md lists what is"
            )
        others = [key for key, ops in NAMESPACES.items() if name in ops and "._" not in key]
        others = [key for key in others if key[:2] == space[:2]] or others  # np and npx are kin
        shown = [other for other in known if not other.startswith("_")]
        advice = nearest(name, shown, 2)
        if others:
            advice = "; there is " + " or ".join(f"mx.{key}.{name}" for key in others)
        raise AttributeError(f"{title} has no {name!r}{advice}")

    return missing


class Namespace(SimpleNamespace):
    """Functions under a common name, such as `mx.np.random`; shown in one line."""

    __slots__ = ("_space",)

    def __init__(self, _space: str, **functions: Any) -> None:
        super().__init__(**functions)
        self._space = _space

    def __repr__(self) -> str:
        return f"<namespace mx.{self._space}: {', '.join(sorted(vars(self)))}>"

    def __getattr__(self, name: str) -> Any:
        return refused(self._space, vars(self))(name)
