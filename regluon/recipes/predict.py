"""What a trained network says about pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from regluon import nd
from regluon.base import ImageError
from regluon.context import Context, cpu
from regluon.image import codec
from regluon.recipes.model_file import TrainedModel, load_model


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one picture with their probabilities, or why there are none."""

    path: Path
    classes: tuple[tuple[str, float], ...] = ()
    error: str = ""


def predict(
    run_folder: str | Path, images: Sequence[str | Path], top: int = 5, ctx: Context | None = None
) -> Iterator[Prediction]:
    """Yield what the network of a run folder says about each picture, the likeliest class first.

    A picture that cannot be decoded gives a prediction with an `error`; the others follow.
    """
    model = load_model(run_folder, ctx)
    for image in images:
        path = Path(image)
        try:
            pixels = codec.read(path)
        except ImageError as error:
            yield Prediction(path, error=str(error))
            continue
        yield Prediction(path, classify(model, pixels, top, ctx))


def classify(
    model: TrainedModel, pixels: codec.Pixels, top: int = 5, ctx: Context | None = None
) -> tuple[tuple[str, float], ...]:
    """Return the `top` likeliest classes of an RGB picture with their probabilities."""
    data = nd.array(model.preprocessing(pixels)[None], ctx=ctx or cpu())
    shares = nd.softmax(model.net(data))[0].asnumpy()
    return tuple((model.classes[i], float(shares[i])) for i in (-shares).argsort()[:top])
