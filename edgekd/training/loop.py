"""The one training loop of edgekd: it knows no command, no method and no teacher."""

from edgekd.data.loader import Batches
from edgekd.training.keeper import Keeper
from edgekd.training.update import Update


def fit(batches: Batches, update: Update, keeper: Keeper, total_steps: int) -> None:
    """Train from where `keeper` stands to `total_steps`; it evaluates, saves, reports and may end it early.

    Raises Interrupted after the keeper has saved the state.
    """
    if keeper.is_finished:
        return
    start = keeper.step
    with keeper.watching(total_steps):
        for step, batch in zip(range(start, total_steps), batches.starting_at(start), strict=False):
            losses = update(batch, step / total_steps)
            keeper(losses, batches.images_per_step)
            if keeper.is_finished:
                break
