"""One training, ready to go: the network, what of it is trained, the trainer, and the batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from regluon import gluon, lr_scheduler, nd
from regluon.base import ContextError
from regluon.context import Context, cpu, gpu, num_gpus
from regluon.gluon.model_zoo import Preprocessing
from regluon.gluon.model_zoo.vision import ZooNetwork
from regluon.recipes.class_names import Matching
from regluon.recipes.display import Display
from regluon.recipes.folder import Picture
from regluon.recipes.freeze import freeze, frozen_parts
from regluon.recipes.loop import Batches
from regluon.recipes.pictures import ArrayBatches, PictureBatches, PictureDataset
from regluon.recipes.settings import FinetuneSettings
from regluon.recipes.transfer import Source, new_network, output_parameters, reuse_rows


WARMUP = 0.1  # the share of the steps in which the rate rises


@dataclass(frozen=True)
class Job:
    """A network with all that trains it; `trained` is the network, or its output layer alone."""

    net: ZooNetwork
    trained: gluon.Block
    trainer: gluon.Trainer
    train: Batches
    val: Batches
    preprocessing: Preprocessing
    frozen: Sequence[str]
    parts: Sequence[str]
    groups: Mapping[str, float]


def find_context(device: str | None) -> Context:
    """Return the context that `device` names; by default the first GPU, or the CPU without one."""
    if device is None:
        return gpu() if num_gpus() else cpu()
    name, _, number = device.rstrip(")").partition("(")
    if name not in ("cpu", "gpu") or not (number or "0").isdigit():
        raise ContextError(f"--device is {device!r}; it must be 'cpu', 'gpu' or 'gpu(1)'")
    ctx = Context(name, int(number or 0))
    assert ctx.device  # A missing GPU is an error that says what was found.
    return ctx


def make_job(
    settings: FinetuneSettings,
    classes: Sequence[str],
    train: Sequence[Picture],
    val: Sequence[Picture],
    source: Source | None,
    matching: Matching | None,
    display: Display,
) -> Job:
    """Return the training that the settings ask for, on these pictures.

    `matching` says which rows of the output layer start from the source's. With all features fixed
    and no augmentation the features of every picture are computed here, once, and only the output
    layer is trained on them.
    """
    ctx = find_context(settings.device)
    net = new_network(settings.model, len(classes), source, ctx)
    if source is not None and matching is not None:
        reuse_rows(net, classes, source, matching)
    parts = [name for name, _ in frozen_parts(net, settings.freeze)]
    frozen = freeze(net, settings.freeze)
    preprocessing = chosen_preprocessing(net, settings)
    once = settings.freeze == "features" and not settings.augment
    train_batches, val_batches = (
        PictureBatches(
            PictureDataset(pictures, preprocessing, augment),
            settings.batch_size,
            ctx,
            shuffle=shuffle,
            seed=settings.seed,
            workers=settings.workers,
        )
        for pictures, augment, shuffle in ((train, settings.augment, not once), (val, False, False))
    )
    steps = settings.epochs * train_batches.count
    shorten_memory(net, steps)
    net.hybridize(settings.hybridize, passes=False)  # a resumed run ends with the same bits
    trainer, groups = make_trainer(net, settings, steps)
    job = Job(net, net, trainer, train_batches, val_batches, preprocessing, frozen, parts, groups)
    if not once:
        return job
    return replace(
        job,
        trained=net.output,
        train=compute_features(net, train_batches, settings.seed, display),
        val=compute_features(net, val_batches, None, display),
    )


def chosen_preprocessing(net: ZooNetwork, settings: FinetuneSettings) -> Preprocessing:
    """Return what the network expects of its pictures, at the size that was asked for."""
    known: Preprocessing = net.preprocessing
    return known if settings.image_size is None else replace(known, size=settings.image_size)


def shorten_memory(net: ZooNetwork, steps: int) -> None:
    """Let batch norms average their statistics over the last tenth of a short training at most.

    Published momenta of 0.99 and more are for thousands of steps: after some dozens the statistics
    would still be those of the weights from which the training started.
    """
    longest = max(0.5, 1 - 1 / (WARMUP * steps)) if steps else 0.5

    def shorten(block: gluon.Block) -> None:
        if isinstance(block, gluon.nn.BatchNorm):
            block._kwargs["momentum"] = min(block._kwargs["momentum"], longest)

    net.apply(shorten)


def make_trainer(
    net: ZooNetwork, settings: FinetuneSettings, steps: int
) -> tuple[gluon.Trainer, dict[str, float]]:
    """Return the trainer, and the factor on the rate of each group of parameters.

    The new output layer learns `head_lr_mult` times faster than what was trained before. The rate
    rises over a tenth of the steps and falls to zero along half a cosine. Weights decay; biases and
    the batch norms' scales and shifts do not.
    """
    for parameter in output_parameters(net).values():
        parameter.lr_mult = settings.head_lr_mult
    for name, parameter in net.structural_params().items():
        if not name.endswith("weight"):
            parameter.wd_mult = 0.0
    schedule = lr_scheduler.CosineScheduler(
        steps + 1, base_lr=settings.rate, warmup_steps=max(1, int(WARMUP * steps))
    )
    options = {"learning_rate": settings.rate, "lr_scheduler": schedule, "wd": settings.wd}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
    groups = {"output layer": settings.head_lr_mult}
    if settings.freeze != "features":
        groups = {"features": 1.0} | groups
    return gluon.Trainer(net.collect_params(), settings.optimizer, options), groups


def compute_features(
    net: ZooNetwork, batches: PictureBatches, seed: int | None, display: Display
) -> ArrayBatches:
    """Return the features of all pictures, which stay the same while only the output is trained."""
    display.start("features, once", batches.images)
    data, labels = [], []
    for images, truth in batches(0):
        data.append(net.features(images))
        labels.append(truth)
        data[-1].wait_to_read()
        display.advance(len(truth))
    display.stop()
    return ArrayBatches(nd.concat(*data, dim=0), nd.concat(*labels, dim=0), batches.count, seed)
