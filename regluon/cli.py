"""The command `regluon`: finetune, predict, info, demo; thin shells over `regluon.recipes`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from regluon.base import MXNetError
from regluon.recipes import environment, finetune as finetuning, predict as prediction
from regluon.recipes.demo import DemoSettings, run_demo
from regluon.recipes.display import best_display
from regluon.recipes.interrupt import Interrupted
from regluon.recipes.job import find_context
from regluon.recipes.settings import FREEZE, OPTIMIZERS, FinetuneSettings


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tune networks on your own pictures, and use them.",
)

WRONG = 2  # the exit code for everything that the user can put right
STOPPED = 130  # as shells say it of Ctrl-C

Folder = Annotated[
    Path, typer.Argument(help="One sub-folder of pictures per class, or train/ and val/.")
]
MORE = "Fine tuning"
DATA = "Data"
RUN = "Run"


def complain(message: str) -> None:
    """Print an error to the standard error."""
    Console(stderr=True).print(
        f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )


Command = TypeVar("Command", bound=Callable[..., None])


def guarded(command: Command) -> Command:
    """Turn what goes wrong into words and an exit code, without a traceback."""

    @functools.wraps(command)
    def guard(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (Interrupted, KeyboardInterrupt) as error:
            complain(str(error) or "stopped")
            raise typer.Exit(STOPPED) from None
        except (MXNetError, OSError) as error:
            complain(str(error))
            raise typer.Exit(WRONG) from None

    return guard  # type: ignore[return-value]


@app.command()
@guarded
def finetune(  # noqa: PLR0913 - its signature is the list of options
    data_dir: Folder,
    model: Annotated[
        str, typer.Option(help="Name of the network.", rich_help_panel=MORE)
    ] = "efficientnet_lite0",
    weights: Annotated[
        str | None,
        typer.Option(
            help="A file of weights, a run folder, or the word none; by default the published "
            "weights of the network.",
            rich_help_panel=MORE,
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="Passes over the pictures.", rich_help_panel=MORE)
    ] = 5,
    freeze: Annotated[
        str,
        typer.Option(
            metavar="|".join(FREEZE),
            help="What stays fixed: nothing, the stem and the lower half of the stages, or "
            "everything but the output layer.",
            rich_help_panel=MORE,
        ),
    ] = "none",
    lr: Annotated[
        float | None,
        typer.Option(
            help="Largest learning rate of the features. (0.003 for SGD, 0.0003 for Adam)",
            rich_help_panel=MORE,
        ),
    ] = None,
    head_lr_mult: Annotated[
        float,
        typer.Option(help="How many times faster the output layer learns.", rich_help_panel=MORE),
    ] = 10.0,
    wd: Annotated[float, typer.Option(help="Weight decay.", rich_help_panel=MORE)] = 1e-4,
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="|".join(OPTIMIZERS), help="How weights are updated.", rich_help_panel=MORE
        ),
    ] = "sgd",
    reuse_classes: Annotated[
        bool,
        typer.Option(
            "--reuse-classes",
            help="Start classes that the weights know, by name, from their rows.",
            rich_help_panel=MORE,
        ),
    ] = False,
    labels_curve: Annotated[
        bool,
        typer.Option(
            "--labels-curve",
            help="Also measure the accuracy with 5, 10, 20 and 50 labels per class.",
            rich_help_panel=MORE,
        ),
    ] = False,
    batch_size: Annotated[
        int, typer.Option(help="Most pictures in a step.", rich_help_panel=DATA)
    ] = 32,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Pixels a side that the network sees. (the network's own)",
            rich_help_panel=DATA,
        ),
    ] = None,
    val_fraction: Annotated[
        float,
        typer.Option(
            help="Share of each class that is kept for validation where there is no val/.",
            rich_help_panel=DATA,
        ),
    ] = 0.2,
    no_augment: Annotated[
        bool,
        typer.Option("--no-augment", help="Show pictures as they are.", rich_help_panel=DATA),
    ] = False,
    no_check: Annotated[
        bool,
        typer.Option(
            "--no-check",
            help="Do not decode every picture once before the training.",
            rich_help_panel=DATA,
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(help="Threads that prepare pictures.", rich_help_panel=DATA)
    ] = 2,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder. (runs/NAME OF DATA_DIR)", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out.", rich_help_panel=RUN),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Remove the run in --out and begin anew.", rich_help_panel=RUN
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides everything random.", rich_help_panel=RUN)] = 0,
    checkpoint_every: Annotated[
        int,
        typer.Option(help="Steps after which a killed run can go on.", rich_help_panel=RUN),
    ] = 100,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, gpu or gpu(1). (a GPU if there is one)", rich_help_panel=RUN),
    ] = None,
    no_hybridize: Annotated[
        bool,
        typer.Option(
            "--no-hybridize",
            help="Run the network call by call, uncompiled; to the same bits.",
            rich_help_panel=RUN,
        ),
    ] = False,
) -> None:
    """Teach a pre-trained network the classes of a folder of pictures.

    The run folder gets model.safetensors and model.json, metrics.jsonl and report.html.
    """
    settings = FinetuneSettings(
        data=data_dir,
        out=out,
        model=model,
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        head_lr_mult=head_lr_mult,
        wd=wd,
        freeze=freeze,
        reuse_classes=reuse_classes,
        labels_curve=labels_curve,
        augment=not no_augment,
        image_size=image_size,
        val_fraction=val_fraction,
        seed=seed,
        workers=workers,
        checkpoint_every=checkpoint_every,
        device=device,
        hybridize=not no_hybridize,
        check=not no_check,
        resume=resume,
        force=force,
    )
    display = best_display()
    result = finetuning.run(settings, display)
    best = result.state.best
    display.say(
        f"validation accuracy {result.accuracy:.1%}" + (f" (epoch {best.epoch})" if best else "")
    )
    display.say(f"network  {result.folder.weights}")
    display.say(f"report   {result.folder.report}")
    display.say(f"use it   regluon predict {result.folder.root} PICTURE...")


@app.command()
@guarded
def predict(
    run_dir: Annotated[Path, typer.Argument(help="The folder of a run.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu, gpu or gpu(1).")] = None,
) -> None:
    """Say what pictures show, with probabilities, by the network of a run."""
    display = best_display()
    failed = 0
    for found in prediction.predict(run_dir, images, top, find_context(device)):
        if found.error:
            failed += 1
            complain(found.error)
        else:
            shown = "  ".join(f"{name} {share:.1%}" for name, share in found.classes)
            display.say(f"{found.path}: {shown}")
    if failed:
        raise typer.Exit(WRONG)


@app.command()
@guarded
def info() -> None:
    """Show versions, machine, optional libraries and environment variables."""
    display = best_display()
    for topic, items in environment.everything().items():
        display.say(topic)
        width = max(map(len, items))
        for name, value in items.items():
            display.say(f"  {name.ljust(width)}  {value}")


@app.command()
@guarded
def demo(
    full: Annotated[
        bool, typer.Option("--full", help="Mean of three seeds; some minutes longer.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
) -> None:
    """Fine-tune EfficientNet-Lite0 on photos of surfaces and compare it with other ways."""
    run_demo(DemoSettings(out=out, full=full), best_display())


def main() -> None:
    """Run the command line."""
    app()
