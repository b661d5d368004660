"""Classes matched by name with those of ImageNet."""

import pytest

from regluon.gluon.model_zoo import class_names as names_of
from regluon.recipes.class_names import match


@pytest.fixture(scope="module")
def imagenet():
    return names_of("imagenet-1k")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("hotdog", 934),
        ("hot_dog", 934),
        ("Hot-Dog", 934),
        ("red hot", 934),
        ("espresso", 967),
        ("Egyptian cat", 285),
        ("tench, Tinca tinca", 0),
        ("granny smith", 948),
    ],
)
def test_a_class_is_found_by_any_of_its_names(imagenet, name, row):
    (found,) = match([name], imagenet).found
    assert (found.row, found.source) == (row, imagenet[row])


@pytest.mark.parametrize("name", ["crane", "missile", "maillot", "panda", "cardigan", "polecat"])
def test_a_name_of_two_classes_is_reported_and_not_guessed(imagenet, name):
    matching = match([name], imagenet)
    assert matching.found == ()
    assert len(matching.ambiguous[name]) == 2


@pytest.mark.parametrize("name", ["gravel", "934", "", "--", "hot", "dog hot", "café"])
def test_what_the_source_does_not_know_stays_unknown(imagenet, name):
    assert match([name], imagenet).unknown == (name,)


def test_accents_do_not_matter():
    (found,) = match(["creme brulee"], ["cr\u00e8me br\u00fbl\u00e9e, dessert"]).found
    assert found.alias == "cr\u00e8me br\u00fbl\u00e9e"


def test_the_alias_says_how_a_class_was_found(imagenet):
    (found,) = match(["Red_Hot"], imagenet).found
    assert (found.name, found.alias) == ("Red_Hot", "red hot")
