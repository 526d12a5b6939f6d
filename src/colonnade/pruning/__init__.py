"""Learned token pruning of text encoders: tokens that matter little are removed on the way, for real.

    >>> from transformers import AutoModelForSequenceClassification
    >>> from colonnade.pruning import Plan, calibrate, encode, load_tokenizer, prune, to_onnx, train
    >>> model = prune(AutoModelForSequenceClassification.from_pretrained(folder))         # five families of encoders
    >>> texts = encode(load_tokenizer(folder), ["one text", "another"])
    >>> train(model, texts, labels, Plan(target=2.0))                                  # or calibrate(model, texts, 2.0)
    >>> model.set_dial(1.2)                                                                # prune harder, no training
    >>> model.save_pretrained("mine")                                                      # AutoModel..., pipeline
    >>> to_onnx(model, "mine.onnx")                                                        # removes tokens in the graph

Importing this package loads no engine: each name is imported when it is first used. Importing any name of `model` makes
the Auto classes of transformers know pruned models.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "adapters": ["load_adapter", "minilm_folder", "save_adapter"],
        "agreement": ["Guarantee", "answer", "guarantee"],
        "calibration": ["Calibration", "calibrate", "fit_dial"],
        "corpora": ["load_corpus"],
        "encoder": ["PrunedEncoder"],
        "errors": ["MissingEngine", "PruningError"],
        "evaluation": ["Quality", "evaluate", "race"],
        "export": ["OnnxModel", "OpenVinoModel", "to_int8", "to_onnx", "to_openvino"],
        "lora": ["add_lora", "merge_lora", "take_lora"],
        "model": [
            "PrunedConfig",
            "PrunedForQuestionAnswering",
            "PrunedForSequenceClassification",
            "PrunedForTokenClassification",
            "PrunedModel",
            "prune",
        ],
        "prediction": ["count_survivors", "predict"],
        "rule": ["Rule"],
        "tables": ["read_labelled", "read_texts"],
        "texts": ["Encoded", "encode", "load_tokenizer"],
        "training": ["Plan", "Trace", "train"],
        "words": ["Survival", "survival"],
        "zoo": ["Opened", "open_bundle", "open_folder", "open_named", "save_bundle"],
    },
)
