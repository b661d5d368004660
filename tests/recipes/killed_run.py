"""Kills fine-tuning runs with SIGKILL, resumes them, and prints what became of each as JSON.

Run as a program: every run is a child process that is forked before torch has made a thread.
"""

import hashlib
import json
import os
import random
import signal
import sys
from pathlib import Path

# Every run would import these for itself, for seconds: they are imported before the first one.
import torch.fx.experimental.symbolic_shapes
import torch.utils.tensorboard  # noqa: F401

from regluon.array.atomic import Sink
from regluon.recipes import finetune
from regluon.recipes.journal import events
from regluon.recipes.keeper import Keeper
from tests.recipes.tiny import register, tiny_settings, write_pictures


STEPS = 12  # 2 epochs of 6 steps
SAVES = ("weights", "optimizer", "state")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(step):
    """Kill this process when so many steps are done, before anything else is saved."""
    known = Keeper.step_done

    def step_done(self, state, images):
        if state.step == step:
            die()
        known(self, state, images)

    Keeper.step_done = step_done


def die_while_saving(file, count):
    """Kill this process in the middle of writing a file of the checkpoint, the so-manieth time."""
    seen = {"weights": 0, "optimizer": 0, "state": 0}
    known = Sink.write

    def write(self, data):
        name = Path(f"/proc/self/fd/{self._descriptor}").readlink().parent.name
        if name == "checkpoint" and self.length == 0:
            kind = SAVES[sum(seen.values()) % len(SAVES)]
            seen[kind] += 1
            if kind == file and seen[kind] == count:
                known(self, memoryview(data)[: len(data) // 2])
                die()
        return known(self, data)

    Sink.write = write


def in_child(work):
    """Do something in a child process and return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(folder):
    """Return hashes of the weights at the end and of the best ones, and the losses of the log."""
    files = [folder / "model.safetensors", folder / "checkpoint/weights-000012.safetensors"]
    files.append(folder / "checkpoint/optimizer-000012.safetensors")
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    losses = [
        (event["step"], event["train_loss"], event["val_loss"])
        for event in events(folder / "metrics.jsonl")
        if event["event"] == "epoch"
    ]
    return [*hashes, losses, sorted(path.name for path in (folder / "checkpoint").iterdir())]


def main(root):
    register()
    data = write_pictures(root / "photos", count=15)

    def run(name, **changes):
        return lambda: finetune.run(tiny_settings(data, root / name, **changes))

    def killed(name, arm):
        def work():
            arm()
            run(name)()

        return work

    assert in_child(run("whole")) == 0
    found = {"whole": outcome(root / "whole")}
    steps = sorted(random.Random(0).sample(range(1, STEPS + 1), 4))
    plans = {f"step {step}": lambda step=step: die_after(step) for step in steps}
    plans |= {
        f"while saving {file}": lambda file=file, count=count: die_while_saving(file, count)
        for file, count in (("weights", 3), ("optimizer", 2), ("state", 1), ("state", 4))
    }
    for name, arm in plans.items():
        assert in_child(killed(name, arm)) == -signal.SIGKILL, name
        assert in_child(run(name, resume=True, workers=1)) == 0, name
        found[name] = outcome(root / name)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
