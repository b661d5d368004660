"""Transforms and datasets inside `torch.utils.data.DataLoader`, with and without processes."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import regluon as mx
from regluon.gluon.data import ArrayDataset, sample_generator
from regluon.gluon.data.vision import transforms


PICTURES = np.random.default_rng(0).integers(0, 256, (12, 20, 24, 3), dtype=np.uint8)


class Pictures(Dataset):
    """The pictures as NumPy arrays or torch tensors, augmented, with their numbers."""

    def __init__(self, kind):
        self.kind = kind
        self.augment = transforms.Compose(
            [
                transforms.RandomResizedCrop(8),
                transforms.RandomFlipLeftRight(),
                transforms.RandomColorJitter(0.4, 0.4, 0.4, 0.1),
                transforms.ToTensor(),
                transforms.Normalize(0.5, 0.25),
            ]
        )

    def __len__(self):
        return len(PICTURES)

    def __getitem__(self, index):
        return self.augment(self.kind(PICTURES[index])), index


def epoch(loader):
    """Return the bytes of every sample of an epoch by its number."""
    return {int(i): x.numpy().tobytes() for xs, ys in loader for x, i in zip(xs, ys, strict=True)}


def two_epochs(kind, workers, seed, method=None):
    mx.random.seed(seed)
    torch.manual_seed(seed)
    loader = DataLoader(Pictures(kind), 4, num_workers=workers, multiprocessing_context=method)
    return epoch(loader), epoch(loader)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_differ_and_seeds_repeat_them(kind, workers):
    first, second = two_epochs(kind, workers, 0)
    assert sorted(first) == list(range(12))
    assert all(first[i] != second[i] for i in first)
    assert two_epochs(kind, workers, 0) == (first, second)
    assert two_epochs(kind, workers, 1)[0] != first


@pytest.mark.slow  # starts four interpreters
@pytest.mark.once
@pytest.mark.timeout(300)
def test_transforms_reach_processes_that_start_afresh():
    first, second = two_epochs(np.asarray, 2, 0, "spawn")
    assert sorted(first) == list(range(12))
    assert all(first[i] != second[i] for i in first)


def test_workers_draw_different_numbers_in_every_epoch_and_process():
    class Draws(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return sample_generator().random()

    fresh = DataLoader(Draws(), 2, num_workers=2)
    kept = DataLoader(Draws(), 2, num_workers=2, persistent_workers=True)
    values = [float(x) for loader in (fresh, fresh, kept, kept) for batch in loader for x in batch]
    values += [sample_generator().random() for _ in range(8)]
    assert len(set(values)) == 40


def test_other_processes_draw_different_numbers_too():
    context = torch.multiprocessing.get_context("fork")
    with context.Pool(1) as one, context.Pool(1) as other:
        drawn = [one.apply(draw), other.apply(draw), draw()]
    assert len(set(drawn)) == 3


def draw():
    return sample_generator().random()


def test_a_dataset_of_ours_is_a_map_style_dataset_for_torch():
    data = ArrayDataset(PICTURES, np.arange(12)).transform_first(transforms.ToTensor())
    batches = list(DataLoader(data, 5, num_workers=2))
    assert [tuple(x.shape) for x, _ in batches] == [(5, 3, 20, 24), (5, 3, 20, 24), (2, 3, 20, 24)]
    assert torch.equal(torch.cat([y for _, y in batches]), torch.arange(12))
    want = PICTURES.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    assert np.array_equal(torch.cat([x for x, _ in batches]).numpy(), want)
