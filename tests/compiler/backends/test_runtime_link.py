"""What of the runtime goes into the program of a bundle."""

from dataclasses import replace

import pytest

from ossc.compiler.backends.runtime_link import (
    RUNTIME_SOURCES,
    device_table,
    library_flags,
    program_flags,
    runtime_sources,
)
from ossc.targets import find_target
from ossc.targets.target import Device

CPU = find_target("cpu:x86-64-v3")


def folders(kinds):
    paths = [path.relative_to(RUNTIME_SOURCES / "src/device") for path in device_files(kinds)]
    return {path.parts[0] for path in paths if len(path.parts) > 1}


def device_files(kinds):
    return [path for path in runtime_sources(kinds) if "device" in path.parts]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("cpu", "null"), {"cpu", "host", "null"}),
        (("null",), {"host", "null"}),
    ],
)
def test_a_program_has_the_sources_of_its_kinds_alone(kinds, expected):
    assert folders(kinds) == expected


def test_what_is_no_device_is_in_every_program():
    all_files = set((RUNTIME_SOURCES / "src").rglob("*.c"))
    shared = {path for path in all_files if "device" not in path.parts}
    assert len(shared) > 30
    assert shared <= set(runtime_sources(()))


def test_the_table_lists_the_kinds_in_their_order():
    table = device_table(("opencl", "null"))
    assert table.splitlines() == [
        '#include "device/opencl/opencl_device.h"',
        '#include "device/null/null_device.h"',
        "const device_api* const device_kinds[] = {",
        "    &opencl_device_api,",
        "    &null_device_api,",
        "    NULL,",
        "};",
    ]


class DriverDevice(Device):
    """A device behind a driver's library."""

    loads_drivers = True


def test_a_program_that_loads_drivers_is_linked_as_the_library_is():
    dynamic = replace(CPU, device=DriverDevice())
    assert program_flags(CPU) == ("x86_64-linux-musl", ("-static",))
    assert program_flags(dynamic) == ("x86_64-linux-gnu.2.17", ("-ldl",))
    triple, flags = library_flags(CPU)
    assert "-ldl" not in flags
    assert library_flags(dynamic) == (triple, (*flags, "-ldl"))
