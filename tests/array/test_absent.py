"""Names that do not exist: MXNet's are here or explained, others get the nearest name."""

import operator

import pytest

import regluon as mx
from regluon.array.absent import ABSENT, reason
from tools.operators_page import mxnet_names


MODULES = {
    "": "AttrScope Context MXNetError api attribute autograd base callback context contrib cpu "
    "cpu_pinned current_context engine error executor executor_manager gluon gpu image img init "
    "initializer io is_np_array is_np_shape kv kvstore libinfo library log lr_scheduler metric mod "
    "model module mon monitor name nd ndarray ndarray_doc notebook np np_array np_shape np_symbol "
    "npx numpy numpy_dispatch_protocol numpy_extension numpy_op_fallback numpy_op_signature onnx "
    "operator optimizer profiler random recordio registry rnd rnn rtc runtime set_np_shape sym "
    "symbol symbol_doc test_utils th torch tvmop use_np use_np_array use_np_shape util "
    "visualization viz",
    "gluon": "Block Constant DeferredInitializationError HybridBlock Parameter ParameterDict "
    "SymbolBlock Trainer block contrib data loss model_zoo nn parameter rnn tensor_types trainer "
    "utils",
    "gluon.loss": "CTCLoss CosineEmbeddingLoss HingeLoss HuberLoss KLDivLoss L1Loss L2Loss "
    "LogisticLoss Loss PoissonNLLLoss SDMLLoss SigmoidBCELoss SigmoidBinaryCrossEntropyLoss "
    "SoftmaxCELoss SoftmaxCrossEntropyLoss SquaredHingeLoss TripletLoss",
    "gluon.nn": "SymbolBlock",
    "amp": "convert_bucketing_module convert_hybrid_block convert_model convert_symbol init "
    "init_trainer list_conditional_fp32_ops list_fp32_ops list_loss_output_functions "
    "list_lp16_fp32_ops list_lp16_ops list_lp16_use_fp32_params list_widest_type_cast scale_loss "
    "unscale",
    "contrib": "amp autograd io nd ndarray onnx quantization sym symbol tensorboard text",
    "nd": "_internal contrib image linalg op random sparse",
}
"""MXNet 1.9.1's modules and what they hold, beside the operators of `mxnet_names`."""


def missing(space):
    """Yield the names of MXNet that a module of ours has not, as `space.name`."""
    found = mx
    for part in filter(None, space.split(".")):
        found = getattr(found, part)
    for name in (*MODULES.get(space, "").split(), *mxnet_names().get(space, ())):
        if not hasattr(found, name):
            yield f"{space}.{name}".removeprefix(".")


SPACES = sorted(MODULES.keys() | mxnet_names().keys())


@pytest.mark.parametrize("space", SPACES)
def test_every_missing_name_has_a_reason(space):
    assert not [name for name in missing(space) if not reason(ABSENT, name)]


def test_every_reason_is_that_of_a_missing_name():
    used = {reason(ABSENT, name) for space in SPACES for name in missing(space)}
    assert not [text for text, _ in ABSENT if text not in used]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sym", "mx.sym is not in this release: graphs as symbols.*docs/from_mxnet.md"),
        ("gluon.rnn", "mx.gluon.rnn is not in this release: recurrent layers"),
        ("nd.RNN", "mx.nd.RNN is not in this release: comes with `gluon.rnn`"),
        ("nd.topkk", "mx.nd has no 'topkk'; did you mean 'topk'?"),
        ("np.relu", "mx.np has no 'relu'; there is mx.npx.relu$"),
        ("nd.matmul", "mx.nd has no 'matmul'; there is mx.np.matmul$"),
        ("npx.zeros", "mx.npx has no 'zeros'; there is mx.np.zeros$"),
        ("np.random.unifrom", "mx.np.random has no 'unifrom'; did you mean 'uniform'"),
        ("gluon.Trainr", "mx.gluon has no 'Trainr'; did you mean 'Trainer'"),
        ("gluon.nn.Conv2d", "mx.gluon.nn has no 'Conv2d'; did you mean 'Conv2D'"),
        ("qwertz", "mx has no 'qwertz'$"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_advice(name, words):
    with pytest.raises(AttributeError, match=words):
        operator.attrgetter(name)(mx)


def test_namespaces_show_their_names_in_one_line_and_to_completion():
    assert repr(mx.np.linalg).startswith("<namespace mx.np.linalg: cholesky, cond, det, eig")
    assert "uniform" in dir(mx.nd.random)


def test_modules_have_the_longer_names_of_mxnet_too():
    names = {}
    exec("from regluon.ndarray import zeros; import regluon.numpy as np", names)
    assert names["zeros"] is mx.nd.zeros
    assert names["np"] is mx.np
    assert mx.contrib.nd.MultiBoxPrior is mx.nd.contrib.MultiBoxPrior
