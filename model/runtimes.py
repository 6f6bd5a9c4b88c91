"""Exports drawn by onnxruntime or by OpenVINO: on a Pi, without PyTorch.

What they read takes degrees and pixels (`onnx_graph.py`), so there is nothing to do here but to hand arrays over.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .drawer import About, Drawer, DrawingError


class OnnxDrawer(Drawer):
    """Graphs in onnxruntime, on the CPU.

    Args:
        generator, inversion: .onnx files.
        about: what they are.
        precision: of the generator.
        threads: None: one a core.

    Raises:
        DrawingError: onnxruntime does not read them.
    """

    def __init__(
        self, generator: Path, inversion: Path, about: About, precision: str = "fp32", threads: int | None = None
    ) -> None:
        import onnxruntime

        self.about, self.runtime = about, f"onnxruntime {onnxruntime.__version__}, {precision}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors; it warns of what it optimises away
        # Between two heatmaps its threads would spin, on cores that record
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._generator, self._inversion = (
                onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                for path in (generator, inversion)
            )
        except Exception as error:  # it has a class for every status, and no common one
            raise DrawingError(
                f"onnxruntime {onnxruntime.__version__} does not read {generator.parent}: {first_line(error)}"
            ) from error

    def _code(self, images: np.ndarray) -> np.ndarray:
        (z,) = self._inversion.run(None, {"image": images})
        return np.asarray(z)

    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        (picture,) = self._generator.run(None, {"z": z, "heatmap": heatmaps})
        return np.asarray(picture)


class OpenVinoDrawer(Drawer):
    """Graphs in OpenVINO, on the CPU.

    Args:
        generator, inversion: .xml files, with their .bin beside them, or .onnx files.
        about, precision, threads: as of `OnnxDrawer`. bf16 where the processor has it; elsewhere it computes in fp32,
            and `runtime` says so.

    Raises:
        DrawingError: OpenVINO does not read them.
    """

    def __init__(
        self, generator: Path, inversion: Path, about: About, precision: str = "fp32", threads: int | None = None
    ) -> None:
        import openvino

        core = openvino.Core()
        able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        said = f"{precision}, computed in fp32: no bf16 here" if precision == "bf16" and not able else precision
        self.about, self.runtime = about, f"OpenVINO {openvino.__version__.split('-')[0]}, {said}"
        # By itself it would take the processor's shortest numbers, whatever was exported
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" and able else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            self._generator = core.compile_model(generator, "CPU", options).create_infer_request()
            self._inversion = core.compile_model(
                inversion, "CPU", {**options, "INFERENCE_PRECISION_HINT": "f32"}
            ).create_infer_request()
        except RuntimeError as error:
            raise DrawingError(
                f"OpenVINO {openvino.__version__.split('-')[0]} does not read {generator.parent}: {first_line(error)}"
            ) from error

    def _code(self, images: np.ndarray) -> np.ndarray:
        return np.array(self._inversion.infer({"image": images})[0])

    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        return np.array(self._generator.infer({"z": z, "heatmap": heatmaps})[0])


def first_line(error: Exception) -> str:
    """What a runtime says, cut to a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
