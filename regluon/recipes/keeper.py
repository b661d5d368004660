"""What happens beside the training of a run: saving, logging, showing, and stopping when asked."""

import statistics
from collections.abc import Sequence

from regluon.recipes import checkpoint
from regluon.recipes.display import Display, clock_time
from regluon.recipes.interrupt import Interrupt, Interrupted
from regluon.recipes.job import Job
from regluon.recipes.journal import Journal
from regluon.recipes.loop import State, Watcher
from regluon.recipes.record import Epoch
from regluon.recipes.run_folder import RunFolder
from regluon.recipes.settings import FinetuneSettings


LOG_EVERY = 10  # steps


class Keeper(Watcher):
    """Keeps the run folder up to date: checkpoints, best weights, log; and shows progress."""

    def __init__(
        self,
        folder: RunFolder,
        job: Job,
        settings: FinetuneSettings,
        journal: Journal,
        display: Display,
        interrupt: Interrupt,
    ) -> None:
        self._folder, self._job, self._settings = folder, job, settings
        self._journal, self._display, self._interrupt = journal, display, interrupt

    def epoch_begun(self, state: State, images: int) -> None:
        """Show a bar."""
        self._display.start(f"epoch {state.epoch}/{self._settings.epochs}", images)

    def step_done(self, state: State, images: int) -> None:
        """Save every so many steps, and stop here if asked to."""
        loss = state.tally.mean_loss
        self._display.advance(images, f"loss {loss:.3f}")
        if state.step % LOG_EVERY == 0:
            rate = self._job.trainer.learning_rate
            self._journal.write("step", state.step, running_loss=loss, learning_rate=rate)
        if self._interrupt.asked:
            self._save(state)
            raise Interrupted(
                f"stopped after step {state.step}; everything is saved. To go on: "
                f"{self._settings.command()} --resume"
            )
        if state.step % self._settings.checkpoint_every == 0:
            self._save(state)

    def epoch_done(self, state: State) -> None:
        """Keep the weights if they are the best so far, and save the whole state."""
        self._display.stop()
        epoch = state.history[-1]
        best = state.best is epoch
        if best:
            checkpoint.check_finite(self._job.net, state)
            self._job.net.save_parameters(self._folder.weights)
        self._save(state)
        self._journal.write(
            "epoch",
            state.step,
            epoch=epoch.epoch,
            train_loss=epoch.train_loss,
            train_accuracy=epoch.train_accuracy,
            val_loss=epoch.val_loss,
            val_accuracy=epoch.val_accuracy,
            images_per_s=epoch.images_per_s,
        )
        self._display.say(self._line(state, epoch, best))

    def _save(self, state: State) -> None:
        checkpoint.save(self._folder.checkpoint, self._job.net, self._job.trainer, state)

    def _line(self, state: State, epoch: Epoch, best: bool) -> str:
        total = self._settings.epochs
        left = (total - epoch.epoch) * state.seconds / epoch.epoch
        parts = [
            f"epoch {epoch.epoch:{len(str(total))}}/{total}",
            f"loss {epoch.train_loss:.3f}",
            f"train {epoch.train_accuracy:6.1%}",
            f"val {epoch.val_accuracy:6.1%}",
            f"{epoch.images_per_s:.0f} images/s",
            f"{clock_time(left)} left" if epoch.epoch < total else "done",
        ]
        return "  ".join(parts) + ("  best" if best else "")


def median_speed(history: Sequence[Epoch]) -> float:
    """Return the median of the epochs' images per second."""
    return statistics.median(epoch.images_per_s for epoch in history)
