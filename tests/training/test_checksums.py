"""What a resume needs is accepted after a kill at any instant, and refused once it is anything else."""

from pathlib import Path

import pytest

from edgekd.config import Fit
from edgekd.errors import CheckpointError
from edgekd.images.imageset import Split
from edgekd.models.network import Network
from edgekd.runs import Run
from edgekd.training.checksums import check_summed, summed
from edgekd.training.keeper import Keeper
from tests.training.test_update import an_update


class Killed(BaseException):
    """Stands for a kill: nothing after it is done."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def write(run: Run, text: str) -> None:
    with summed(run, run.weights) as beside:
        beside.write_text(text)


def test_old_and_new_are_accepted_around_the_renaming(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, "first")
    check_summed(run, run.weights)
    with monkeypatch.context() as patch:
        original = Path.replace

        def replace(source: Path, target: Path) -> Path:
            if Path(target) == run.weights:
                raise Killed
            return original(source, target)

        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            write(run, "second")
    assert run.weights.read_text() == "first"
    check_summed(run, run.weights)
    write(run, "third")
    check_summed(run, run.weights)
    write(run, "fourth")
    run.weights.write_text("first")
    with pytest.raises(CheckpointError, match="damaged or replaced"):
        check_summed(run, run.weights)


def test_without_sums_nothing_is_accepted(run: Run) -> None:
    run.weights.write_text("weights")
    with pytest.raises(CheckpointError, match="nothing tells"):
        check_summed(run, run.weights)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["last/state.pt", "model.safetensors"])
def test_one_byte_less_true_is_noticed(run: Run, network: Network, split: Split, name: str, share: float) -> None:
    keeper = Keeper(run, an_update(network), split, Fit(batch_size=8), 3)
    keeper.judge_start()
    keeper.save()
    assert Keeper(run, an_update(network), split, Fit(batch_size=8), 3).restore()
    content = bytearray((run.path / name).read_bytes())
    content[int(share * len(content))] ^= 1
    (run.path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged or replaced"):
        Keeper(run, an_update(network), split, Fit(batch_size=8), 3).restore()
