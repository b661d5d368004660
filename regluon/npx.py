"""mx.npx: neural-network operators on NumPy-like arrays, and the switch to NumPy semantics."""

from regluon.array.absent import refused
from regluon.array.dlpack import (
    to_dlpack_for_read as to_dlpack_for_read,
    to_dlpack_for_write as to_dlpack_for_write,
)
from regluon.array.interchange import (  # noqa: F401
    np_from_dlpack as from_dlpack,
    np_from_numpy as from_numpy,
    np_savez as savez,
    npx_load as load,
    save as save,
    waitall as waitall,
)
from regluon.array.namespace import functions, namespaces
from regluon.context import (
    Context as Context,
    cpu as cpu,
    cpu_pinned as cpu_pinned,
    current_context as current_context,
    gpu as gpu,
    gpu_memory_info as gpu_memory_info,
    num_gpus as num_gpus,
)
from regluon.random import seed as seed
from regluon.util import (
    get_cuda_compute_capability as get_cuda_compute_capability,
    is_np_array as is_np_array,
    is_np_shape as is_np_shape,
    reset_np as reset_np,
    set_np as set_np,
)


_inner = namespaces("npx", "np")
_inner["random"].seed = seed
globals().update(functions("npx", "np"), **_inner)
__getattr__ = refused("npx", globals())

del functions, namespaces, refused  # no completion should offer them
