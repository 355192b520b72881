"""Makes a judge from a model and pairs of traces: `deepprune-judge train`. Read it from top to bottom.

The recipe is that of arXiv 2510.08483: pairs of truncated traces, labels by answer equality, focal loss on
the label tokens, the rarer class twice. Test questions are not used here; `deepprune-judge evaluate` finds
them by the record that is saved beside the weights.

The rule: the weights depend on the settings, the pairs and the initial weights, not on the number of processes
(up to rounding) and not on how often the training was interrupted and resumed.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import DistributedType, is_bf16_available

from judge_server.data.labels import UNDECIDED
from judge_server.data.pairs import Pair
from judge_server.metrics import ScoredPairs, auroc, auroc_within
from judge_server.model_folder import RECORD_FILE
from judge_server.models.base import LocalJudge
from judge_server.models.load import load_judge
from judge_server.training.data import TrainingData, read_training_data
from judge_server.training.export import export_judge, write_head_judge, write_judge
from judge_server.training.job import TrainingJob
from judge_server.training.learner import Learner
from judge_server.training.lora import add_adapters
from judge_server.training.model_card import model_card
from judge_server.training.schedule import Batches
from judge_server.training.state import EpochResult, StateFolder, TrainingState
from orchestrator.errors import ConfigError
from orchestrator.terminal.progress import Progress

__all__ = ["train"]

logging.getLogger("accelerate.utils.other").setLevel(
    logging.ERROR
)  # it warns that tied weights are saved once


def train(job: TrainingJob) -> None:
    """The stages in order; every process of a training goes through them.

    Raises:
        ConfigError: a setting, the model or the folder does not fit.
        DatasetError: the data cannot be used.
    """
    if job.resume and is_finished(job):
        print(f"{job.out} holds a finished judge; there is nothing to resume.", file=sys.stderr)
        return

    # 1. Pairs: one set to train on, one that chooses the best epoch.
    data = read_training_data(job.source, job.spec, job.settings, job.fold)
    epoch_pairs = data.epoch_pairs(job.settings)
    saved = StateFolder(job.out, job.identity())
    saved.check(resume=job.resume)

    # 2. The judge and its optimiser. All errors in the input are found before anything is written.
    accelerator = make_accelerator(job)
    judge = load_initial_judge(job)
    judge.prepare(data.train, job.settings.head_width)
    judge.packs(data.validation, longest=None)  # raises if a pair is too long
    learner = Learner(accelerator, judge, job.settings, epoch_pairs)
    plan = learner.plan

    # 3. Start, or restore the saved state.
    state = TrainingState()
    start_or_resume(accelerator, saved, learner, state)

    # 4. Epochs; keep the weights with the best validation AUROC.
    with make_progress(accelerator, plan.steps, state) as progress:
        progress.say(
            f"{len(data.train):,} training pairs, {len(data.validation):,} validation pairs; "
            f"{len(epoch_pairs):,} pairs in an epoch, {learner.tokens:,} tokens"
        )
        if data.undecided:
            progress.say(f"{data.undecided:,} pairs left out: {UNDECIDED}.")
        for epoch in range(len(state.epochs), job.settings.epochs):
            for number, batches in plan.left(epoch, done=state.steps):
                make_step(accelerator, learner, state, number, batches)
                progress.advance(loss=f"{state.loss:.5f}")
                is_due = job.checkpoint_steps and number % job.checkpoint_steps == 0
                if is_due and number != plan.end(epoch):
                    saved.save(learner, state, accelerator)
            state.epochs.append(validate(learner, data.validation, state.loss))
            report_epoch(accelerator, progress, state)
            weights = learner.weights()
            if accelerator.is_main_process and state.best_epoch == epoch + 1:
                saved.save_best(weights)
            saved.save(learner, state, accelerator)

    # 5. The finished judge, with its record and its card.
    accelerator.end_training()
    if accelerator.is_main_process:
        finish(job, data, saved, state)


def is_finished(job: TrainingJob) -> bool:
    """Whether a training has ended in this folder."""
    return (job.out / RECORD_FILE).is_file() and not (job.out / "checkpoint").is_dir()


def make_accelerator(job: TrainingJob) -> Accelerator:
    """Device, processes and precision, as given by `accelerate launch` or found on this machine."""
    if job.settings.bf16 and not is_bf16_available():
        raise ConfigError("This device has no bfloat16; add --set bf16=false.")
    accelerator = Accelerator(
        mixed_precision="bf16" if job.settings.bf16 else "no",
        log_with="tensorboard",
        project_dir=job.out,
    )
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise ConfigError(
            "DeepSpeed keeps its state in pickles, which are not read here; run accelerate launch --use_fsdp."
        )
    return accelerator


def load_initial_judge(job: TrainingJob) -> LocalJudge:
    """The untrained judge on the CPU: all weights are trainable, or only its adapters."""
    settings = job.settings
    _check_head_settings(job)
    torch.manual_seed(settings.seed)
    is_frozen = settings.lora_rank > 0
    dtype = torch.bfloat16 if is_frozen and settings.bf16 else torch.float32
    cpu = torch.device("cpu")
    judge = load_judge(
        job.init, job.spec, new_head=True, dtype=dtype, device=cpu, vectors=job.vectors
    )
    if is_frozen:
        add_adapters(judge, settings)
    if settings.gradient_checkpointing:
        judge.model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.compile:
        judge.compile()
    return judge


def _check_head_settings(job: TrainingJob) -> None:
    """Raises ConfigError for what only a trained model has, where the model is frozen, and the reverse."""
    settings = job.settings
    if job.spec.kind != "embedding-head":
        if job.vectors is not None:
            raise ConfigError("--vectors is for judges of the kind embedding-head; remove it.")
        return
    for name, is_set in (
        ("lora_rank", settings.lora_rank > 0),
        ("reading_weight", settings.reading_weight > 0),
        ("gradient_checkpointing", settings.gradient_checkpointing),
    ):
        if is_set:
            raise ConfigError(
                f"The model of an embedding-head is frozen, so {name} has no meaning; remove it from the settings."
            )


def start_or_resume(
    accelerator: Accelerator, saved: StateFolder, learner: Learner, state: TrainingState
) -> None:
    """Makes the folder or restores the state in it, and opens the logs at that state's step."""
    accelerator.wait_for_everyone()  # all processes have checked the folder
    if accelerator.is_main_process:
        saved.begin()
    accelerator.wait_for_everyone()
    saved.load(learner, state)
    accelerator.init_trackers("logs", init_kwargs={"tensorboard": {"purge_step": state.steps + 1}})


def make_progress(accelerator: Accelerator, steps: int, state: TrainingState) -> Progress:
    """Shown by the first process only."""
    is_quiet = not accelerator.is_main_process
    return Progress("steps", steps, done=state.steps, title="training", quiet=is_quiet)


def make_step(
    accelerator: Accelerator, learner: Learner, state: TrainingState, number: int, batches: Batches
) -> None:
    """Makes one step (the `number`-th of all), logs it and counts it."""
    began = time.monotonic()
    rate, loss = learner.learning_rate, learner.step(number, batches)
    accelerator.log({"loss": loss, "learning_rate": rate}, step=number)
    state.count(loss, time.monotonic() - began)


def validate(learner: Learner, pairs: Sequence[Pair], loss: float) -> EpochResult:
    """The loss at an epoch's end, and the AUROCs on the validation pairs if there are any."""
    if not pairs:
        return EpochResult(loss)
    scored = ScoredPairs.of(
        [pair.question_id for pair in pairs],
        [pair.same for pair in pairs],
        learner.scores(pairs),
    )
    within = auroc_within(scored)
    return EpochResult(loss, auroc(scored), None if math.isnan(within) else within)


def report_epoch(accelerator: Accelerator, progress: Progress, state: TrainingState) -> None:
    """Writes the last epoch's result to stderr and to the logs."""
    result = state.epochs[-1]
    aurocs = {"auroc": result.auroc, "auroc_within": result.auroc_within}
    known = {name: value for name, value in aurocs.items() if value is not None}
    figures = {"loss": result.loss, **known}
    shown = " ".join(f"{name} {value:.5f}" for name, value in figures.items())
    progress.say(f"epoch {len(state.epochs)}: {shown}")
    accelerator.log({f"validation/{name}": v for name, v in known.items()}, step=state.steps)


def finish(job: TrainingJob, data: TrainingData, saved: StateFolder, state: TrainingState) -> None:
    """Writes the judge with its record and its card, and removes the saved state."""
    spec = job.spec.model_copy(update={"model": job.out.as_posix()})
    record = job.identity() | {
        "judge": spec.model_dump(mode="json"),
        "init": job.init,
        "data": {"files": [file.name for file in job.source.files]} | data.summary(),
        "epochs": [asdict(epoch) for epoch in state.epochs],
        "best_epoch": state.best_epoch,
        "steps": state.steps,
        "minutes": round(state.seconds / 60, 1),
        "command": job.command,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "seen_questions": data.seen_questions(),
    }
    if job.fold is not None:
        record["test_questions"] = data.test_questions
    folder = saved.make_result_folder()
    if spec.kind == "embedding-head":
        write_head_judge(folder, job.init, spec, saved.load_best())
    else:
        write_judge(folder, job.init, spec, job.settings, saved.load_best())
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(record), encoding="utf-8")
    export_judge(folder, job.out)
    saved.remove()
