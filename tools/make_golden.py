"""Run the operator samples under MXNet 1.9.1 and write `tests/golden/ops_<family>.npz`.

    python tools/make_golden.py [family ...]

Needs an interpreter that has MXNet 1.9.1 (and NumPy below 1.24, which that release wants).
"""

import contextlib
import sys
from pathlib import Path

import mxnet as mx
import numpy as onp


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.ops.golden import write_golden
from tests.ops.samples import Outcome, Sample, evaluate, families, keyed


def outcome_of(sample: Sample) -> Outcome:
    """Return what MXNet gives, or the first line of its error."""
    try:
        outcome = evaluate(sample, mx)
        mx.nd.waitall()
    except Exception as error:  # whatever MXNet raises is the result
        with contextlib.suppress(mx.MXNetError):
            mx.nd.waitall()  # else what is still queued raises in the next sample
        return Outcome(error=f"{type(error).__name__}: {str(error).strip()}"[:200])
    if sample.random:
        outcome.outputs = [onp.zeros_like(array) for array in outcome.outputs]
        outcome.grads = [onp.zeros_like(array) for array in outcome.grads]
    return outcome


def main(wanted: list[str]) -> None:
    """Write the golden files of the families named, or of all; print where MXNet raised."""
    for family, samples in families().items():
        if wanted and family not in wanted:
            continue
        outcomes = {}
        for key, sample in keyed(samples):
            outcome = outcome_of(sample)
            outcomes[key] = (sample.digest(), outcome)
            if outcome.error and not sample.differs:
                print(f"{family} {key} {sample.id}: {outcome.error.splitlines()[-1]}")
        write_golden(family, outcomes)
        print(f"{family}: {len(outcomes)} samples")


if __name__ == "__main__":
    main(sys.argv[1:])
