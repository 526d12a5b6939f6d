"""ONNX and OpenVINO files that remove tokens themselves, for texts of any length, and the runtimes that run them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.pruning.errors import engine
from colonnade.pruning.graph import as_graph

OPSET = 18
EXAMPLE = 48  # tokens of the text that is traced; the graph holds for any number


def to_onnx(model: Any, path: str | Path, pairs: bool = False) -> Path:
    """Write a pruned model as ONNX: input `input_ids` [1, n] (and `token_type_ids`), output `logits` or `states`.

    Raises:
        MissingEngine: onnx or onnxscript is not installed.
    """
    engine("onnx", "pruning-export")
    engine("onnxscript", "pruning-export")
    path = Path(path)
    ids = torch.randint(5, 50, (1, EXAMPLE), generator=torch.Generator().manual_seed(0))
    length = torch.export.Dim("n", min=3, max=model.encoder.family.max_tokens(model.encoder.body))
    given = (ids, torch.zeros_like(ids)) if pairs else (ids,)
    names = ["input_ids", "token_type_ids"][: len(given)]
    question = hasattr(model.model, "qa_outputs")
    output = ["start", "end"] if question else ["states" if model.model is model.encoder else "logits"]
    with quiet(), torch.no_grad(), as_graph(model, pairs) as graph:
        torch.onnx.export(
            graph,
            given,
            str(path),
            input_names=names,
            output_names=output,
            dynamic_shapes={name: {1: length} for name in names},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=True,
        )
    return path


def to_int8(onnx_path: str | Path, path: str | Path) -> Path:
    """Weights of an ONNX file as 8-bit integers, activations quantised as they come (ONNX Runtime).

    Raises:
        MissingEngine: onnxruntime is not installed.
    """
    quantization = engine("onnxruntime.quantization", "pruning-export")
    with quiet():
        quantization.quantize_dynamic(str(onnx_path), str(path), weight_type=quantization.QuantType.QInt8)
    return Path(path)


def to_openvino(onnx_path: str | Path, path: str | Path) -> Path:
    """An ONNX file as OpenVINO's .xml and .bin.

    Raises:
        MissingEngine: openvino is not installed.
    """
    openvino = engine("openvino", "pruning-export")
    with quiet():
        openvino.save_model(openvino.convert_model(str(onnx_path)), str(path), compress_to_fp16=False)
    return Path(path)


class OnnxModel:
    """An exported model in ONNX Runtime, on one text at a time.

    Args:
        path: of the .onnx file.
        threads: that one text may use.

    Raises:
        MissingEngine: onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        runtime = engine("onnxruntime", "pruning-export")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The first output for one text's token ids."""
        given = np.asarray(ids, dtype=np.int64)[None]
        found: NDArray[np.float32] = self.session.run(None, {"input_ids": given})[0]
        return found


class OpenVinoModel:
    """An exported model in OpenVINO, on one text at a time (arguments as `OnnxModel`)."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        openvino = engine("openvino", "pruning-export")
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self.request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def __call__(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The first output for one text's token ids."""
        self.request.infer([np.asarray(ids, dtype=np.int64)[None]])
        found: NDArray[np.float32] = self.request.get_output_tensor(0).data.copy()
        return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters talk a lot about what went well."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
