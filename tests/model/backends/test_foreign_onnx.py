"""Graphs that are not as ours: both libraries give the right numbers or refuse them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.errors import DetectionError
from napari_fastnet.model.backends.create import network_on_cpu

onnx = pytest.importorskip("onnx")
BOTH = pytest.mark.parametrize("name", ["onnx", "openvino"])


@pytest.fixture
def graph(tmp_path):
    """Return a function that writes a graph: the mean of a patch's px, 0..1."""
    from onnx import TensorProto as Kind
    from onnx import helper

    def write(*, output="probability", scale=255.0, keep=False, first=(), kind="UINT8"):
        of = getattr(Kind, kind)
        shape = ("patches", 3) if keep else ("patches",)
        axes = [1, 2] if keep else [1, 2, 3]
        nodes = [
            helper.make_node("Cast", ["patches"], ["values"], to=Kind.FLOAT),
            helper.make_node("ReduceMean", ["values", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "white"], [output]),
            helper.make_node("Sub", ["mean", "white"], ["other"]),
        ]
        made = helper.make_graph(
            nodes,
            "foreign",
            [helper.make_tensor_value_info("patches", of, ("patches", "y", "x", 3))],
            [
                helper.make_tensor_value_info(word, Kind.FLOAT, shape)
                for word in (*first, output)
            ],
            [
                helper.make_tensor("white", Kind.FLOAT, [], [scale]),
                helper.make_tensor("axes", Kind.INT64, [len(axes)], axes),
            ],
        )
        opset = [helper.make_opsetid("", 18)]
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), path)
        return path

    return write


PATCHES = np.full((3, 32, 32, 3), 51, np.uint8)


@BOTH
def test_of_several_outputs_the_probability_is_taken(graph, name):
    backend = network_on_cpu(graph(first=("other",)), "two", name=name, threads=1)
    assert backend.predict(PATCHES) == pytest.approx([0.2] * 3, abs=2e-3)


@BOTH
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "logits"}, "probability"),
        ({"scale": 10.0}, r"probabilities from 5.* to 5.*; they must lie from 0 to 1"),
        ({"keep": True}, r"gives 3 patches numbers of shape \(3, 3\)"),
        ({"kind": "FLOAT"}, "(float|FLOAT|f32)"),
    ],
)
def test_what_is_no_probability_is_refused_in_a_line(graph, name, options, said):
    with pytest.raises(DetectionError, match=said) as caught:
        network_on_cpu(graph(**options), "odd", name=name, threads=1).predict(PATCHES)
    assert "\n" not in str(caught.value)


@BOTH
def test_a_graph_without_cells_is_refused_for_pictures(graph, name):
    backend = network_on_cpu(graph(), "no cells", name=name, threads=1)
    with pytest.raises(DetectionError, match="cell_margins"):
        backend.cell_margins(PATCHES[0])
