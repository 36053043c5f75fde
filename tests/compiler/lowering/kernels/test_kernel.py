"""What holds for every kernel's function, seen on a small one."""

import tvm
from tvm import relax

from ossc.compiler.lowering.kernels.kernel import symbol
from ossc.compiler.lowering.kernels.rms_norm import rms_norm


def test_a_symbol_is_a_c_identifier_made_from_all_parameters():
    assert symbol("rms_norm", 2880, 1e-05, n=1) == "rms_norm_2880_1em05_n1"
    assert symbol("linear", "int8-g32", 0.5, n=None) == "linear_int8mg32_0p5_n"


def test_tasks_are_counted_per_token():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=False, n=None)
    assert (kernel.tasks_fixed, kernel.tasks_per_token) == (0, 1)


def test_scalars_come_after_the_buffers():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=True, n=1)
    names = [parameter.name for parameter in kernel.func.params]
    assert names == ["x", "residual", "weight", "normed", "sum", "begin", "end"]


def test_relax_passes_leave_a_kernel_call_alone():
    builder = relax.BlockBuilder()
    row = relax.TensorType((tvm.tirx.Var("n", "int64"), 8), "float32")
    x, weight = relax.Var("x", row), relax.Var("weight", relax.TensorType((8,), "float32"))
    with builder.function("main", [x, weight]):
        with builder.dataflow():
            doubled = builder.emit(relax.op.add(x, x))
            call = relax.call_dps_packed("rms_norm_8_1em05_n", [doubled, weight], row)
            normed = builder.emit(call)
            result = builder.emit_output(relax.op.add(normed, normed))
        builder.emit_func_output(result)
    module = builder.get()
    relax.analysis.well_formed(module)
    transform = relax.transform
    passes = [transform.LegalizeOps(), transform.AnnotateTIROpPattern(), transform.FuseOps()]
    module = tvm.transform.Sequential([*passes, transform.FuseTIR()])(module)
    assert 'call_dps_packed("rms_norm_8_1em05_n"' in module["main"].script()
