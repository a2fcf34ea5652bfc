"""Runs a PyTorch model with the inputs of its linear layers quantized as a checkpoint of Isotherm says.

Needs PyTorch, and safetensors to read. `time_groups.isotherm` of a checkpoint that was written with
`--activation-bits` has a scale and a zero point for each layer's input at each timestep of a
calibration. A pipeline of diffusers, whose scheduler tells the timesteps:

    from time_grouped_torch import TimeGroupedInputs

    inputs = TimeGroupedInputs(pipe.transformer, "PixArt-int4/transformer")
    inputs.watch_scheduler(pipe.scheduler)
    with inputs:
        pipe(prompt, num_inference_steps=25)

A masked language model, whose time is the share of masked tokens:

    with TimeGroupedInputs(model, "Dream-7B-int4") as inputs, torch.no_grad():
        inputs.at(level)
        model(input_ids=batch)

Inputs are rounded to what their codes decode to, and multiplied as before: this shows what a kernel with
such inputs would compute, and is no faster. Weights stay those of the model, the checkpoint's or others.
"""

import os

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

F32, F64, I32 = torch.float32, torch.float64, torch.int32

FILE = "time_groups.isotherm"

# Layers that an error names one by one.
MOST_NAMED = 8


class TimeGroupedInputs:
    """Quantizes what a model's linear layers are fed while it is a context manager.

    model: a module; pass what the pipeline calls.
    checkpoint: the directory of a checkpoint, of a pipeline that of a component, or its file of schedules.
    prefix: what the checkpoint's names of layers have before the model's, such as "model." for the part of a
        language model without its head; a layer without it is missing.
    strict: refuse a checkpoint with layers that are no nn.Linear of the model; otherwise these are left out.

    `layers` lists what is quantized, `missing` the checkpoint's layers that are no nn.Linear of the model,
    both by the checkpoint's names; `timesteps` those that have parameters, `bits` the width of a code.
    """

    def __init__(self, model, checkpoint, prefix="", strict=True):
        self.model = model
        self.bits, self.timesteps, tables = _read_schedules(checkpoint)
        modules = dict(model.named_modules())
        self._modules, self._tables, self.missing = {}, {}, []
        for name, table in tables.items():
            module = modules.get(name[len(prefix) :]) if name.startswith(prefix) else None
            if isinstance(module, nn.Linear):
                self._modules[name], self._tables[name] = module, table
            else:
                self.missing.append(name)
        if self.missing and (strict or not self._modules):
            raise ValueError(_explain_missing(self.missing, len(tables)))
        self.layers = list(self._modules)
        self._places = None
        self._hooks = []
        self._watch = None

    def __enter__(self):
        if self._hooks:
            raise RuntimeError("these inputs are quantized already")
        self._hooks.append(self.model.register_forward_pre_hook(self._begin_call))
        for name, module in self._modules.items():
            hook = self._make_hook(name)
            self._hooks.append(module.register_forward_pre_hook(hook, with_kwargs=True))
        if self._watch:
            self._watch.start()
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        if self._watch:
            self._watch.stop()

    def at(self, timestep):
        """Says of what timestep (or mask level) the model's next calls are, in the calibration's units.

        timestep: a number, or a tensor of one for each sample of the batch. The nearest one that has
        parameters is taken; of two that are equally near, the lower.
        """
        asked = torch.as_tensor(timestep, dtype=F64, device="cpu")
        if asked.ndim > 1 or asked.numel() == 0:
            raise ValueError(f"timesteps have the shape {list(asked.shape)}, expected one for each sample")
        if not asked.isfinite().all():
            raise ValueError(f"timestep {asked[~asked.isfinite()][0].item()} is not finite")
        distances = (asked.reshape(-1, 1) - self.timesteps.to(F64)).abs()
        self._places = distances.argmin(1)

    def watch_scheduler(self, scheduler):
        """Takes timesteps from a scheduler of diffusers: `at` is not needed then."""
        if self._watch:
            self._watch.stop()
        self._watch = _SchedulerWatch(scheduler)
        if self._hooks:
            self._watch.start()

    def _begin_call(self, *_):
        if self._watch:
            self.at(self._watch.find_timestep())

    def _make_hook(self, name):
        def quantize(_, args, kwargs):
            if args:
                return (self._quantize(name, args[0]), *args[1:]), kwargs
            return args, {**kwargs, "input": self._quantize(name, kwargs["input"])}

        return quantize

    def _quantize(self, name, x):
        """The values that the codes of x decode to, computed in F32 (of F64 in F64), in the dtype of x."""
        if self._places is None:
            raise RuntimeError("the timestep of this call is not known: call inputs.at(timestep) before it")
        count = len(self._places)
        if count > 1 and (x.ndim < 2 or len(x) != count):
            raise RuntimeError(
                f"layer {name!r} is fed {list(x.shape)}, expected [{count}, ...]: a sample for each timestep"
            )
        table = self._tables[name] = self._tables[name].to(x.device)
        # Tensors also where there is one timestep: by a number CUDA divides with one rounding more.
        scale, zero_point = table[:, self._places.to(x.device)].view(2, -1, *[1] * (x.ndim - 1))
        codes = (x.to(torch.promote_types(x.dtype, F32)) / scale).round() + zero_point
        return ((codes.clamp(0, 2**self.bits - 1) - zero_point) * scale).to(x.dtype)


def _explain_missing(missing, count):
    named = ", ".join(repr(name) for name in missing[:MOST_NAMED])
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return (
        f"{len(missing)} of {count} layers of the checkpoint are no nn.Linear of the model: {named}{more}: "
        "see prefix=, or leave them out with strict=False"
    )


def _read_schedules(checkpoint):
    """Width of a code, timesteps F32 [T], and by layer [2, T]: scales and zero points, F32."""
    path = os.path.join(checkpoint, FILE) if os.path.isdir(checkpoint) else os.fspath(checkpoint)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read {path!r}: {error}") from None
    for key, expected in (("format", "isotherm-time-groups"), ("version", "1")):
        if metadata.get(key) != expected:
            raise ValueError(f"the {key} of {path!r} is {metadata.get(key)!r}, expected {expected!r}")
    bits = metadata.get("input_bits")
    if bits is None:
        raise ValueError(f"{path!r} quantizes no inputs: write the checkpoint with --activation-bits")
    if bits not in ("4", "6", "8"):
        raise ValueError(f"the input_bits of {path!r} are {bits!r}, expected 4, 6 or 8")

    def take(name, dtype):
        tensor = tensors.get(name)
        if tensor is None or tensor.dtype != dtype or tensor.ndim != 1 or len(tensor) == 0:
            found = "is missing" if tensor is None else f"is {tensor.dtype} {list(tensor.shape)}"
            raise ValueError(f"{name!r} of {path!r} {found}, expected {dtype} of one dimension")
        return tensor

    timesteps = take("timesteps", F32)
    tables, end = {}, ".input_boundaries"
    for name in sorted(name[: -len(end)] for name in tensors if name.endswith(end)):
        lengths = take(name + end, I32).diff()
        scale, zero_point = take(f"{name}.input_scale", F32), take(f"{name}.input_zero_point", I32)
        table = torch.stack([scale, zero_point.to(F32)]) if len(scale) == len(zero_point) else None
        if table is not None and len(scale) == len(lengths) and (lengths > 0).all():
            # Parameters of time groups; otherwise they are those of single timesteps.
            table = table.repeat_interleave(lengths, 1)
        if table is None or table.shape[1] != len(timesteps):
            raise ValueError(f"the schedule of {name!r} in {path!r} is not of {len(timesteps)} timesteps")
        if not (scale.isfinite() & (scale > 0)).all():
            raise ValueError(f"{name!r} of {path!r} has a scale that is not above 0")
        tables[name] = table
    if not tables:
        raise ValueError(f"{path!r} has no schedule of an input")
    return int(bits), timesteps, tables


class _SchedulerWatch:
    """Knows the timestep of a denoiser's call from what a scheduler is asked.

    A pipeline calls set_timesteps once, then for each timestep scale_model_input (not all pipelines do), the
    denoiser, and step. The same as that of record_calibration.py: each of the two files stands alone.
    """

    METHODS = ("set_timesteps", "scale_model_input", "step")

    def __init__(self, scheduler):
        self.scheduler = scheduler
        # What was scaled for the call to come, and where in `timesteps` it is.
        self._scaled = self._next = None

    def start(self):
        for name in self.METHODS:
            if hasattr(self.scheduler, name):
                setattr(self.scheduler, name, self._wrap(name, getattr(self.scheduler, name)))

    def stop(self):
        for name in self.METHODS:
            # The wrapper hides the method of the class.
            self.scheduler.__dict__.pop(name, None)

    def _wrap(self, name, method):
        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            self._scaled = None
            if name == "set_timesteps":
                self._next = None
            else:
                timestep = kwargs["timestep"] if "timestep" in kwargs else args[1]
                if name == "step":
                    self._next = self._find_index(timestep) + 1
                else:
                    self._scaled = timestep
            return result

        return call

    def _find_index(self, timestep):
        """Where this timestep is. Some schedulers take one twice: then the one that is due."""
        known = [float(t) for t in self.scheduler.timesteps]
        timestep = float(timestep)
        due = self._next
        return due if due is not None and known[due : due + 1] == [timestep] else known.index(timestep)

    def find_timestep(self):
        if self._scaled is not None:
            return self._scaled
        index = getattr(self.scheduler, "step_index", None)
        if index is None:
            index = self._next
        if index is None:
            # Pipelines that begin with an image skip the first timesteps.
            index = getattr(self.scheduler, "begin_index", None) or 0
        if index >= len(self.scheduler.timesteps):
            raise RuntimeError("the scheduler has no timestep left for this call: call set_timesteps before it")
        return self.scheduler.timesteps[index]
