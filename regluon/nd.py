"""mx.nd: imperative operators in MXNet's classic semantics, filled from the operator table."""

from regluon.array.absent import refused
from regluon.array.custom import Custom as Custom
from regluon.array.dlpack import (
    to_dlpack_for_read as to_dlpack_for_read,
    to_dlpack_for_write as to_dlpack_for_write,
)
from regluon.array.interchange import (
    array as array,
    from_dlpack as from_dlpack,
    from_numpy as from_numpy,
    from_torch as from_torch,
    load as load,
    load_frombuffer as load_frombuffer,
    save as save,
    waitall as waitall,
)
from regluon.array.namespace import bind_methods, functions, namespaces
from regluon.array.ndarray import NDArray as NDArray


globals().update(functions("nd", "nd"), **namespaces("nd", "nd"))
bind_methods("nd")
__getattr__ = refused("nd", globals())

del bind_methods, functions, namespaces, refused  # no completion should offer them
