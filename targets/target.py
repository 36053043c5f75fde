"""What the compiler has to know of a machine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ossc.targets.instruction_set import InstructionSet, Verified
from ossc.targets.roofline import Roofline


@dataclass(frozen=True, kw_only=True)
class Host:
    """The CPU that the runtime runs on, and its kernels."""

    arch: str
    """As in ``platform.machine()``."""

    cpu_features: tuple[str, ...]
    """Flags of /proc/cpuinfo that the machine must have."""

    tvm_target: Mapping[str, Any]
    """The dict form of ``tvm.target.Target``."""

    zig_static: str
    """zig's triple for the static executable."""

    zig_shared: str
    """zig's triple for the shared library, with the oldest glibc that can load it."""

    kernel_isa: Literal["avx2", "portable"]
    """Which kernel bodies the lowering picks."""

    instruction_sets: tuple[InstructionSet, ...] = ()
    """For which hot kernels are built as well, the best first: the runtime takes the first one that
    the machine has."""

    qemu_arch: str = ""
    """What qemu-user calls the architecture; empty: as ``arch``."""

    qemu_cpu: str = "max"
    """The CPU that it pretends to be: the default one of some architectures lacks what the target
    needs, and ``max`` is the most capable one where qemu has one of that name."""

    @property
    def emulator(self) -> str:
        """The program of qemu-user for the architecture, such as ``qemu-arm``."""
        return f"qemu-{self.qemu_arch or self.arch}"

    @property
    def glibc(self) -> str:
        """The oldest glibc that can load the shared library, such as ``2.17``."""
        return self.zig_shared.partition(".")[2]

    @property
    def isas(self) -> tuple[str, ...]:
        """The instruction sets for which kernels are built, the best first."""
        return (*(each.name for each in self.instruction_sets), self.kernel_isa)

    def isa_on(self, cpu_features: Collection[str]) -> str:
        """Return the instruction set of the kernels that the runtime takes on a machine.

        Args:
            cpu_features: Flags of its /proc/cpuinfo.
        """
        for each in self.instruction_sets:
            if set(each.cpu_features) <= set(cpu_features):
                return each.name
        return self.kernel_isa


@dataclass(frozen=True, kw_only=True)
class Device:
    """What executes the plan; a kind of device subclasses it with what its compiler has to know."""

    loads_drivers: ClassVar[bool] = False
    """Whether the runtime opens a driver's library, which a static program cannot."""

    shard_bytes: ClassVar[int | None] = None
    """Most bytes of a file of weights, which is one allocation; None: all lie in one file."""

    float_activations: ClassVar[bool] = False
    """Whether activations meet all weights as float32, which is at least as exact as any plan."""

    in_browser: ClassVar[bool] = False
    """Whether the runtime is a page in a browser, and the host any machine that has one."""

    weights_memory: ClassVar[tuple[str, str]] = ("mapped", "fast when they fit in free RAM")
    """A word for where weights lie during a session, and what to know of it."""


@dataclass(frozen=True, kw_only=True)
class CpuDevice(Device):
    """A CPU: nothing that the host does not say."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One machine to compile for; everything that differs between machines is a field here."""

    name: str
    """``family[:device]``, such as ``cpu:x86-64-v3``."""

    summary: str
    """One line for ``ossc targets``."""

    kind: str
    """Of what executes the plan: names the folder of the backend, and the device of the runtime."""

    verified: Verified
    """How far bundles for this target were ever run."""

    prefill_chunk: int
    """Most tokens of a prompt that are computed at once."""

    alignment_bytes: int = 64
    """At what multiples buffers begin in the device's memory: a cache line of a CPU, and what
    TVM-generated code expects of a buffer's address."""

    host: Host

    device: Device
    """What only the kind knows."""

    roofline: Roofline | None = None
    """Of a reference machine, for predictions; None: none was measured."""
