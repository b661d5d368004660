"""Work: keys that depend on seed, epoch and sample, and what errors are told."""

import pytest

from regluon.gluon.data.work import Job, Keys, Place, Work
from regluon.random import mix


def keys(seed=0, stream=0, epoch=0, samples=range(5), number=0):
    return dict(Keys(seed, stream, epoch).job(number, samples).samples)


def test_a_key_is_a_function_of_seed_stream_epoch_and_sample():
    assert keys() == keys(number=7)
    assert keys()[3] == mix(mix(0, 0, 0), 3, 0) == keys(samples=[9, 3])[3]
    settings = [(seed, stream, epoch) for seed in range(3) for stream in (0, 1) for epoch in (0, 1)]
    assert len({keys(*setting)[3] for setting in settings}) == 12
    assert len(set(keys(samples=range(3000)).values())) == 3000


@pytest.mark.parametrize("sample", [0, 5, 1023, 1024, -1, 10**15])
def test_a_sample_that_is_drawn_again_gets_another_key(sample):
    made = Keys(1, 5, 2)
    first, again = made.job(0, [sample, 1500]), made.job(1, [sample, sample])
    drawn = [key for _, key in (*first.samples, *again.samples)]
    assert len(set(drawn)) == 4
    assert drawn[0] == mix(mix(1, 5, 2), sample, 0)


def test_batches_have_keys_of_their_own():
    made = Keys(0, 0, 0)
    jobs = [made.job(number, [0]) for number in range(3)]
    assert len({job.key for job in jobs} | {key for job in jobs for _, key in job.samples}) == 6


def test_stopped_work_makes_nothing_more():
    work = Work([1, 2], list, 0)
    work.stopped = True
    job = Job(0, [(0, 1), (1, 2)])
    work.make(job, Place("here"))
    assert job.done.is_set()
    assert (job.batch, job.error) == (None, None)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("odd"), "odd\n  while loading sample 4, batch 2 of epoch 6, in here"),
        (ValueError(), ""),
        (ValueError("a", 1), "('a', 1)"),
        (KeyError("k"), "'k'"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "'utf-8' codec can't decode byte 0x78"),
    ],
    ids=repr,
)
def test_errors_of_every_form_say_where_in_their_text_or_in_a_note(error, shown):
    class Broken:
        def __getitem__(self, idx):
            raise error

    job = Job(2, [(4, 0)])
    place = Place("here")
    Work(Broken(), list, 6).make(job, place)
    assert job.error is error
    assert str(error).startswith(shown)
    where = "while loading sample 4, batch 2 of epoch 6, in here"
    assert (where in str(error)) != any(where in note for note in getattr(error, "__notes__", []))
    assert (place.job, place.sample) == (None, None)


def test_an_error_that_cannot_even_be_shown_is_handed_over():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("mute")

    def refuse(items):
        raise Mute("a")

    job = Job(0, [(0, 0)])
    Work([1], refuse, 0).make(job, Place("here"))
    assert isinstance(job.error, Mute)
    assert job.done.is_set()
