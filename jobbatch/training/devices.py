"""Where PyTorch works, and whether bf16 pays there."""

from __future__ import annotations

from typing import Literal

import torch

from jobbatch.errors import DeviceError


def choose_device(asked: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device for `asked`, which is final unless it is 'auto'.

    Raises:
        DeviceError: if CUDA is asked for and PyTorch finds none.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "--device cuda: PyTorch finds no CUDA device. Check the driver and that PyTorch is "
            "built for CUDA, or pass --device cpu"
        )
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether the device has instructions for bf16; emulated, it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
