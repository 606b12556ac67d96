"""The surroundings of a training run, set before torch is imported: threads, seed, network, chatter.

The number of threads comes from `params.yaml`, because sums over more or fewer threads differ in their last bits. What the
machine has, and so where a model lies, is no parameter: CUDA where torch has it, unless PAIRWRIGHT_DEVICE=cpu.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from tasks.core.errors import UserError
from trainer.models import parallel

DEVICES = ("cpu", "cuda")  # values of PAIRWRIGHT_DEVICE
# A model that lies on this machine needs no hub, and a hub that is asked learns of the run.
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # numbers of the options in glibc's malloc.h


def prepare(threads: int, seed: int, offline: bool) -> None:
    """Make the run repeatable: a fixed number of threads, deterministic kernels, every random generator seeded."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else each fork of the process prints a warning
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads that spin cost more than they save where cores are shared
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA has no deterministic product of matrices
    os.environ["TQDM_DISABLE"] = "1"  # a log wants lines, not bars
    if offline:
        os.environ.update(dict.fromkeys(OFFLINE, "1"))
    _keep_memory()
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs a fifth of the time
    transformers.set_seed(seed)
    _hush()


def device() -> str:
    """Where models lie on this machine; each of several processes has a GPU of its own."""
    wanted = os.environ.get("PAIRWRIGHT_DEVICE")
    if wanted not in (None, *DEVICES):
        raise UserError("PAIRWRIGHT_DEVICE", repr(wanted), " or ".join(DEVICES), "correct the variable, or unset it")
    if not parallel.on_cpu():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if wanted == "cuda":
        raise UserError("PAIRWRIGHT_DEVICE", "'cuda'", "a GPU that torch can use", "install torch with CUDA, or unset the variable")
    return "cpu"


def autocast(dtype: str) -> AbstractContextManager[object]:
    """Products of matrices in the run's precision, weights as they are held; changes nothing in single precision.

    Trap: the copies of weights that it makes are kept as long as it is open, and those of a pass without gradients have none: so it is
    opened anew for every pass, and closed before `backward`.
    """
    import torch

    return torch.autocast(device().split(":")[0], torch.bfloat16) if dtype == "bfloat16" else nullcontext()


def _keep_memory() -> None:
    """Tell glibc to keep freed memory for the next step instead of handing it back: a third of the CPU time went into getting it again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc only; elsewhere the run is slower and the result the same
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers reports of weights that lack or do not fit, of which we tell ourselves, or of kernels."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _hush() -> None:
    """Silence what is understood and expected; everything else stays loud."""
    import transformers

    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the bar over loaded weights
    # TRL's own configuration sets the option that transformers renamed; nothing for us to do.
    warnings.filterwarnings("ignore", message="`gradient_checkpointing` is deprecated")
    warnings.filterwarnings("ignore", message=".*pin_memory.*no accelerator.*")
