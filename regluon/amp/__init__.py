"""Mixed precision as in MXNet's `amp`: heavy operators in 16 bits, delicate ones in float32."""

from regluon.amp.casts import Casts as Casts
from regluon.amp.convert import convert_hybrid_block as convert_hybrid_block
from regluon.amp.loss_scaler import LossScaler as LossScaler
from regluon.amp.operators import (
    list_conditional_fp32_ops as list_conditional_fp32_ops,
    list_fp32_ops as list_fp32_ops,
    list_loss_output_functions as list_loss_output_functions,
    list_lp16_fp32_ops as list_lp16_fp32_ops,
    list_lp16_ops as list_lp16_ops,
    list_lp16_use_fp32_params as list_lp16_use_fp32_params,
    list_widest_type_cast as list_widest_type_cast,
)
from regluon.amp.training import (
    init as init,
    init_trainer as init_trainer,
    reset as reset,
    scale_loss as scale_loss,
    unscale as unscale,
)
from regluon.array.absent import refused


globals()["__getattr__"] = refused("amp", globals())  # no type checker sees this
