"""regluon: MXNet Gluon's programming model on PyTorch's kernels."""

import sys

from regluon import (  # noqa: F401
    amp as amp,
    autograd as autograd,
    context as context,
    contrib as contrib,
    engine as engine,
    gluon as gluon,
    image as image,
    image as img,
    initializer as init,
    initializer as initializer,
    kvstore as kv,
    kvstore as kvstore,
    lr_scheduler as lr_scheduler,
    metric as metric,
    nd as nd,
    nd as ndarray,
    np as np,
    np as numpy,
    npx as npx,
    npx as numpy_extension,
    operator as operator,
    optimizer as optimizer,
    profiler as profiler,
    random as random,
    random as rnd,
    util as util,
)
from regluon.array.absent import refused
from regluon.base import MXNetError as MXNetError, env as _env, print_logs as _print_logs
from regluon.context import (
    Context as Context,
    cpu as cpu,
    cpu_pinned as cpu_pinned,
    current_context as current_context,
    gpu as gpu,
    gpu_memory_info as gpu_memory_info,
    num_gpus as num_gpus,
)
from regluon.gluon.torch_program import hybridize as hybridize, program as program
from regluon.gluon.torch_step import hybridize_step as hybridize_step
from regluon.util import (
    is_np_array as is_np_array,
    is_np_shape as is_np_shape,
    np_array as np_array,
    np_shape as np_shape,
    set_np_shape as set_np_shape,
    use_np as use_np,
    use_np_array as use_np_array,
    use_np_shape as use_np_shape,
)


__version__ = "0.1.0"

# MXNet has these functions under two names: `mx.nd.random.uniform` is `mx.random.uniform` too.
for _name, _function in vars(nd.random).items():
    setattr(random, _name, _function)

# Modules that MXNet has under the longer names: `from mxnet.ndarray import zeros`.
sys.modules |= {
    f"{__name__}.{name}": globals()[name]
    for name in ("ndarray", "numpy", "numpy_extension", "init")
}

_print_logs(_env("REGLUON_LOG"))

globals()["__getattr__"] = refused("", globals())  # no type checker sees this
