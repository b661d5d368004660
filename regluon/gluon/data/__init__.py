"""Datasets, samplers and loaders."""

from regluon.gluon.data import vision as vision
from regluon.gluon.data.batchify import (
    BatchError as BatchError,
    default_batchify_fn as default_batchify_fn,
)
from regluon.gluon.data.dataset import (
    ArrayDataset as ArrayDataset,
    Dataset as Dataset,
    SimpleDataset as SimpleDataset,
)
from regluon.gluon.data.loader import (
    DataLoader as DataLoader,
    WorkerTimeoutError as WorkerTimeoutError,
)
from regluon.gluon.data.sampler import (
    BatchSampler as BatchSampler,
    FilterSampler as FilterSampler,
    IntervalSampler as IntervalSampler,
    RandomSampler as RandomSampler,
    Sampler as Sampler,
    SequentialSampler as SequentialSampler,
)
from regluon.random import sample_generator as sample_generator
