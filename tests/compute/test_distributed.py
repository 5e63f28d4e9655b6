import pytest
import torch

from edgekd.compute.distributed import RankLost, everyone, may_speak, noticing_losses


def test_alone_everything_is_immediate() -> None:
    ranks = everyone()
    assert ranks.world == 1 and ranks.is_first
    assert ranks.add([1.5, 2]).wait() == ranks.most([1.5, 2]).wait() == [1.5, 2]
    assert ranks.from_first(lambda: 3) == 3
    with ranks.in_turn():
        ranks.check_alike({"seed": 1})


def test_alone_the_objective_is_called_itself() -> None:
    layer = torch.nn.Linear(1, 1)
    assert everyone().engine(layer, has_unused=False) is layer and not torch.distributed.is_initialized()


def test_the_only_process_speaks() -> None:
    assert may_speak()


def test_a_closed_connection_is_a_lost_process() -> None:
    with pytest.raises(RankLost, match="another process"), noticing_losses():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), noticing_losses():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
