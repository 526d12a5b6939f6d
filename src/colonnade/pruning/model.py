"""Pruned models as transformers knows models: `save_pretrained`, `from_pretrained`, the Auto classes, `pipeline`.

The head and its weights are those of the model that was pruned; only its encoder body is replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import (
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from colonnade.pruning.encoder import PrunedEncoder, PrunedOutput, kept_mask
from colonnade.pruning.errors import PruningError, between
from colonnade.pruning.families import supported
from colonnade.pruning.gate import check_thresholds
from colonnade.pruning.rule import MAX_DIAL, Rule

_RULE = [field.name for field in dataclasses.fields(Rule)]


class PrunedConfig(PreTrainedConfig):  # type: ignore[misc]
    """The configuration of the model that was pruned (`base`), and how it is pruned (see `Rule`)."""

    model_type = "colonnade-pruned"

    base: dict[str, Any] | None = None
    execution: str = "packed"
    rule: str = "threshold"
    score: str = "received"
    rows: int | None = 32
    keep_rates: list[float] | None = None
    dial: float = 1.0
    protect: list[int] | tuple[int, ...] = ()
    bypass: int = 0
    seed: int = 0

    def pruning(self) -> Rule:
        """How tokens are judged."""
        return Rule(**{name: getattr(self, name) for name in _RULE})

    def inner(self) -> Any:
        """The configuration of the model that was pruned, with the labels of this one."""
        given = dict(self.base or {"model_type": "bert"})
        kind = given.pop("model_type")
        supported(kind, None)
        inner = AutoConfig.for_model(kind, **given)
        inner.id2label, inner.label2id = self.id2label, self.label2id
        inner.problem_type = self.problem_type
        return inner


class _Pruned(PreTrainedModel):  # type: ignore[misc]
    """What the pruned models share; `model` is a model of transformers with a `PrunedEncoder` in its body's place."""

    config_class = PrunedConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _auto: ClassVar[Any] = AutoModel
    _first_only: ClassVar[bool] = False
    _output: ClassVar[Any] = None

    def __init__(self, config: PrunedConfig, model: Any = None, thresholds: Sequence[float] | None = None) -> None:
        super().__init__(config)
        task = self._auto.from_config(config.inner()) if model is None else model
        body = task if self._auto is AutoModel else getattr(task, task.base_model_prefix)
        encoder = PrunedEncoder(body, config.pruning(), thresholds, config.execution, self._first_only)
        if body is task:
            self.model = encoder
        else:
            setattr(task, task.base_model_prefix, encoder)
            self.model = task
        self.post_init()

    @classmethod
    def from_pretrained(cls, folder: Any, *args: Any, **kwargs: Any) -> Any:
        """Load from a folder that `save_pretrained` wrote.

        Raises:
            PruningError: the folder holds a pruned model with another head, or none at all.
        """
        config = kwargs.get("config") or PrunedConfig.from_pretrained(folder)
        held = (config.architectures or [cls.__name__])[0]
        if held != cls.__name__:
            raise PruningError(
                f"{str(folder)!r} holds a {held}, which {cls.__name__} cannot read; load it as what it is."
            )
        return super().from_pretrained(folder, *args, **kwargs)

    def _init_weights(self, module: Any) -> None:
        """Nothing: the pruned model brought its weights, or a checkpoint has them all."""

    @property
    def encoder(self) -> PrunedEncoder:
        """The part that prunes."""
        model = self.model
        return model if isinstance(model, PrunedEncoder) else getattr(model, model.base_model_prefix)

    @property
    def thresholds(self) -> Tensor:
        """θ of each layer, in units of the mean score [L]."""
        return self.encoder.thresholds

    def set_thresholds(self, values: Sequence[float]) -> None:
        """Put other thresholds in.

        Raises:
            PruningError: their number is wrong, or one is negative or no number.
        """
        checked = check_thresholds(values, len(self.encoder.thresholds))
        with torch.no_grad():
            self.encoder.thresholds.copy_(torch.tensor(checked))

    def set_dial(self, dial: float) -> None:
        """Scale all thresholds without retraining: 0 is dense, 1 as trained, more prunes harder.

        Raises:
            PruningError: it is out of range.
        """
        between("dial", dial, 0, MAX_DIAL)
        self.set_rule(dial=float(dial))

    def set_rule(self, **settings: Any) -> None:
        """Change how tokens are judged (fields of `Rule`), also in what is saved.

        Raises:
            PruningError: a setting is out of range.
        """
        rule = dataclasses.replace(self.encoder.rule, **settings).checked(len(self.encoder.thresholds))
        self.encoder.rule = rule
        for name in _RULE:
            value = getattr(rule, name)
            setattr(self.config, name, list(value) if isinstance(value, tuple) else value)

    def set_execution(self, execution: str) -> None:
        """Run "packed", "gather" or "mask"; the results are the same."""
        with self.encoder.set(execution=execution):
            pass
        self.encoder.execution = self.config.execution = execution

    def forward(self, input_ids: Any = None, attention_mask: Any = None, **kwargs: Any) -> Any:
        """As the model that was pruned; `output_kept=True` adds who survived."""
        wanted, return_dict = kwargs.pop("output_kept", False), kwargs.pop("return_dict", None)
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        if wanted:
            assert self.encoder.last is not None
            out = self._output(**out, kept=kept_mask(*self.encoder.last))
        return out.to_tuple() if return_dict is False else out


@dataclasses.dataclass
class PrunedSequenceClassifierOutput(SequenceClassifierOutput):  # type: ignore[misc]
    """Logits [B, classes], and who survived [B, L, N]."""

    kept: Tensor | None = None


@dataclasses.dataclass
class PrunedTokenClassifierOutput(TokenClassifierOutput):  # type: ignore[misc]
    """Logits [B, N, classes], and who survived [B, L, N]."""

    kept: Tensor | None = None


@dataclasses.dataclass
class PrunedQuestionAnsweringOutput(QuestionAnsweringModelOutput):  # type: ignore[misc]
    """Logits of start and end [B, N] each, and who survived [B, L, N]."""

    kept: Tensor | None = None


class PrunedModel(_Pruned):
    """A pruned encoder without a head; tokens that left keep the state they left with."""

    _output = PrunedOutput


class PrunedForSequenceClassification(_Pruned):
    """A pruned classifier of whole texts."""

    _auto = AutoModelForSequenceClassification
    _first_only = True
    _output = PrunedSequenceClassifierOutput


class PrunedForTokenClassification(_Pruned):
    """A pruned tagger: tokens that left are tagged from the state they left with."""

    _auto = AutoModelForTokenClassification
    _output = PrunedTokenClassifierOutput


class PrunedForQuestionAnswering(_Pruned):
    """A pruned reader: answers may begin and end at tokens that left, judged by the state they left with."""

    _auto = AutoModelForQuestionAnswering
    _output = PrunedQuestionAnsweringOutput


_KINDS = {
    "ForSequenceClassification": PrunedForSequenceClassification,
    "ForTokenClassification": PrunedForTokenClassification,
    "ForQuestionAnswering": PrunedForQuestionAnswering,
}


def prune(model: Any, thresholds: Sequence[float] | None = None, execution: str = "packed", **rule: Any) -> Any:
    """Make a pruned model of a model of transformers. Its weights are used, not copied.

    Args:
        model: an encoder, or one with a head for whole texts, tokens, or questions.
        thresholds: θ of each layer (1 is an average token); without them nothing is pruned until they are learned
            (`train`) or calibrated (`calibrate`).
        execution: "packed", "gather" or "mask".
        rule: fields of `Rule`.

    Raises:
        PruningError: the architecture or head is not supported, a setting is out of range, or a weight is no number.
    """
    supported(model.config.model_type, model.config)
    name = type(model).__name__
    kind = next((cls for ending, cls in _KINDS.items() if name.endswith(ending)), None)
    if kind is None and not name.endswith("Model"):
        heads = ", ".join(_KINDS)
        raise PruningError(f"The head of {name} is not supported; supported are plain encoders and {heads}.")
    for weight, values in model.named_parameters():
        if not bool(torch.isfinite(values).all()):
            raise PruningError(f"The weight {weight} holds values that are no finite numbers.")
    config = PrunedConfig(
        base={name: value for name, value in model.config.to_dict().items() if name != "_name_or_path"},
        execution=execution,
        id2label=model.config.id2label,
        label2id=model.config.label2id,
        problem_type=model.config.problem_type,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in rule.items()},
    )
    pruned = (kind or PrunedModel)(config, model, thresholds)
    return pruned.train(model.training)


def register() -> None:
    """Make the Auto classes of transformers know pruned models; importing this module does it."""
    AutoConfig.register(PrunedConfig.model_type, PrunedConfig, exist_ok=True)
    for cls in (PrunedModel, *_KINDS.values()):
        cls._auto.register(PrunedConfig, cls, exist_ok=True)


register()
