"""Browsers: kernels become WGSL, which Chromium runs on the CPU."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence

import numpy as np

import chromium
from operations.segment_runner import Arguments
from ossc.compiler.backends.gpu.operations import OPERATIONS
from ossc.compiler.backends.webgpu.web_calls import WebCalls
from ossc.compiler.lowering.flatten import FlatStep
from ossc.compiler.lowering.importer import OperationTable
from ossc.runtimes.plan import Groups

PREPARE = """(async () => {
    const adapter = await navigator.gpu.requestAdapter();
    globalThis.device = await adapter.requestDevice();
    globalThis.pipelines = new Map();
    globalThis.launches = await import("/web/device_kernel.js");
    const { accessOf } = await import("/web/wgsl_access.js");
    globalThis.bytesOf = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    globalThis.textOf = (bytes) => {
        let text = "";
        for (let i = 0; i < bytes.length; i += 32768) {
            text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        }
        return btoa(text);
    };
    globalThis.built = async (name, source) => {
        if (!pipelines.has(name)) {
            const types = [...accessOf(source).map((access) => (
                access === "read" ? "read-only-storage" : "storage")), "uniform"];
            const entries = types.map((type, binding) => (
                { binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
            const used = device.createBindGroupLayout({ entries });
            const layout = device.createPipelineLayout({ bindGroupLayouts: [used] });
            const module = device.createShaderModule({ code: source });
            const descriptor = { layout, compute: { module, entryPoint: name } };
            pipelines.set(name, [await device.createComputePipelineAsync(descriptor), used]);
        }
        return pipelines.get(name);
    };
})()"""

RUN = """(async () => {
    const { name, source, launch, rows, written, buffers } = %s;
    const [pipeline, layout] = await built(name, source);
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const made = (bytes, usage) => {
        const size = Math.ceil(bytes.length / 4) * 4;
        const buffer = device.createBuffer({ size, usage: usage | COPY_SRC | COPY_DST });
        const whole = new Uint8Array(size);
        whole.set(bytes);
        device.queue.writeBuffer(buffer, 0, whole);
        return buffer;
    };
    const numbers = Uint32Array.from([...launches.uniformsOf(launch, rows), 0, 0, 0]);
    const scalars = new Uint8Array(numbers.buffer);
    const bound = buffers.map((each) => made(bytesOf(each), STORAGE));
    const all = [...bound, made(scalars, UNIFORM)];
    device.pushErrorScope("validation");
    const entries = all.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout, entries });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...launches.dispatchGrid(launch, rows, 65535));
    pass.end();
    const copies = written.map((index) => {
        const copy = device.createBuffer({ size: bound[index].size, usage: MAP_READ | COPY_DST });
        encoder.copyBufferToBuffer(bound[index], 0, copy, 0, copy.size);
        return copy;
    });
    device.queue.submit([encoder.finish()]);
    const fault = await device.popErrorScope();
    if (fault) throw new Error(fault.message);
    await Promise.all(copies.map((copy) => copy.mapAsync(GPUMapMode.READ)));
    const results = copies.map((copy) => textOf(new Uint8Array(copy.getMappedRange())));
    for (const each of [...all, ...copies]) each.destroy();
    return results;
})()"""


class Web:
    """A page in a browser."""

    def __init__(self, page: chromium.Page) -> None:
        self.operations: OperationTable = OPERATIONS
        self.calls = WebCalls(language="webgpu", suffix="wgsl.json")
        self._page = page
        page.evaluate(PREPARE)

    def run(self, step: FlatStep, arguments: Arguments, tokens: int) -> None:
        """Run a step."""
        kernel = self.calls.step(step, range(len(arguments)), "f32")
        source = self.calls.module(step.symbol)
        buffers = [arguments[index] for index in kernel.tensors]
        self.launch(kernel.kernel, source, buffers, kernel.grid, kernel.takes_rows, tokens)

    def launch(
        self,
        name: str,
        source: str,
        buffers: Arguments,
        grid: Sequence[Groups],
        takes_rows: bool,
        rows: int,
    ) -> None:
        """Run a shader module on arrays; those that it may write are changed."""
        written = [index for index in range(len(buffers)) if _is_written(source, index)]
        call = {
            "name": name,
            "source": source,
            "launch": {
                "takesRows": takes_rows,
                "grid": [
                    {"fixed": each.fixed, "perToken": each.per_token, "divisor": each.divisor}
                    for each in grid
                ],
            },
            "rows": rows,
            "written": written,
            "buffers": [b64encode(each.tobytes()).decode() for each in buffers],
        }
        results = self._page.evaluate(RUN % json.dumps(call))
        for index, text in zip(written, results, strict=True):
            bytes_ = np.frombuffer(b64decode(text), np.uint8)[: buffers[index].nbytes]
            buffers[index][...] = bytes_.view(buffers[index].dtype).reshape(buffers[index].shape)


def _is_written(source: str, index: int) -> bool:
    return f"@binding({index}) var<storage, read_write>" in source
