"""timm's LogitDistillationTask in the loop its train.py has around it, on the same batches as the plain loop's."""

from collections.abc import Iterator

import torch
from job import Images, hand_back, make_optimizer, networks, read_job, train
from timm.task import LogitDistillationTask
from torch import Tensor, nn


def main() -> None:
    """Train as the job says."""
    job = read_job()
    images = Images(job)
    teacher, student = networks(job)
    norm = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    for network in (teacher, student):  # what the task asks of a timm model; equal values are not applied
        network.num_classes, network.in_chans, network.pretrained_cfg = job.classes, 3, norm
    task = LogitDistillationTask(
        student,
        teacher,
        criterion=nn.CrossEntropyLoss(),
        task_loss_weight=1 - job.alpha,
        distill_loss_weight=job.alpha,
        temperature=job.temperature,
        verbose=False,
    )
    optimizer = make_optimizer(job, student.parameters())
    total = job.epochs * images.steps
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.precision == "bf16")

    def epoch(number: int) -> Iterator[Tensor]:
        task.train()
        for step, (batch, targets, _) in enumerate(images.epoch(number)):
            optimizer.param_groups[0]["lr"] = job.lr * job.rate((number * images.steps + step) / total)
            with autocast:
                loss = task(batch, targets)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()

    hand_back(job, train(job, images, student, epoch))


if __name__ == "__main__":
    main()
