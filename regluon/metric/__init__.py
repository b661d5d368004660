"""mx.metric: numbers that say how good predictions are, accumulated over batches."""

from regluon.metric.classification import (
    F1 as F1,
    Accuracy as Accuracy,
    CrossEntropy as CrossEntropy,
    Loss as Loss,
    NegativeLogLikelihood as NegativeLogLikelihood,
    Perplexity as Perplexity,
    TopKAccuracy as TopKAccuracy,
)
from regluon.metric.metric import (
    CompositeEvalMetric as CompositeEvalMetric,
    CustomMetric as CustomMetric,
    EvalMetric as EvalMetric,
    alias as alias,
    check_label_shapes as check_label_shapes,
    create as create,
    np as np,
    register as register,
)
from regluon.metric.regression import MAE as MAE, MSE as MSE, RMSE as RMSE
