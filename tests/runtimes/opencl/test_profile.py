"""``ossc profile`` on drivers of a CPU: what it says of them, and the limits that it measures."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner

from opencl_icd import DRIVERS, installed_driver
from ossc.compiler.cli import main
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.devices import list_devices
from ossc.runtimes.profile.device import probes
from ossc.runtimes.profile.gate.profiles import compare_profiles
from ossc.runtimes.profile.places import LOCAL
from ossc.runtimes.profile.profile import Profile
from ossc.runtimes.profile.profile_json import read_profile, schema
from ossc.runtimes.profile.report.html import to_html
from ossc.targets.errors import NotComparableError, SessionError
from synthetic.opencl_bundle import write_opencl_bundle

SMALL = ["--prompt-tokens", "5", "--new-tokens", "2", "--repeats", "1"]
SIZE = 1 << 23


@dataclass(frozen=True)
class Profiled:
    """What the command wrote."""

    profile: Profile
    fields: dict[str, Any]
    trace: dict[str, Any]


@pytest.fixture(scope="module")
def profiled(tmp_path_factory, binaries, run_folder):
    """Profiles of the bundle, one for each driver: PoCL builds for seconds what it runs."""
    folder = tmp_path_factory.mktemp("profiles")
    bundle = write_opencl_bundle(folder / "bundle", binaries)

    @cache
    def run(driver: str) -> Profiled:
        json_file, trace = folder / f"{driver}.json", folder / f"{driver}.trace.json"
        files = ["--out", str(json_file), "--trace", str(trace)]
        device = ["--device", installed_driver(driver).device]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OSSC_CACHE_DIR", str(folder / "cache"))
            patch.setenv("POCL_CACHE_DIR", str(run_folder / "pocl"))
            patch.setattr(probes, "WORKING_SETS_BYTES", (SIZE,))
            for limit in ("MAX_WAITED", "MAX_DRIFT"):  # other tests run beside these
                patch.setattr(f"ossc.runtimes.profile.repeats.{limit}", 1000.0)
            profile(bundle, *device, *files, "--format", "json")
        texts = json_file.read_text(), trace.read_text()
        return Profiled(read_profile(json_file), *map(json.loads, texts))

    return run


@pytest.fixture
def prober(bundle):
    """The bundle's program, on no device of its own."""
    with LOCAL.start(Bundle.open(bundle), device="null") as runner:
        yield runner


def profile(bundle, *options):
    """What the command prints."""
    done = CliRunner().invoke(main, ["profile", str(bundle), *SMALL, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_profile_names_the_device_and_labels_a_cpu(profiled, any_driver, bundle):
    made = profiled(any_driver.name)
    (listed,) = [d for d in list_devices(bundle) if f"opencl:{d.platform}" == any_driver.device]
    device = made.profile.device
    assert (device.kind, device.platform, device.name) == ("opencl", listed.platform, listed.name)
    assert (device.driver, device.memory_bytes) == (listed.driver, listed.memory_bytes)
    assert (device.type, device.shares_memory) == ("cpu", True)
    assert device.note.startswith(f"{listed.platform} is a driver of a CPU")
    assert made.trace["otherData"]["note"] == device.note
    page = to_html(made.profile)
    assert '<p class="banner" role="note">' in page
    assert f"{listed.platform} is a driver of a CPU" in page


def test_json_is_as_its_schema_says(profiled, any_driver):
    fields, described = profiled(any_driver.name).fields, schema()["$defs"]
    parts = {"Profile": fields, "DeviceNote": fields["device"], "LimitsNote": fields["limits"]}
    for name, part in parts.items():
        assert part.keys() == described[name]["properties"].keys()


def test_limits_are_those_of_the_machine_below_the_driver(profiled, any_driver, prober):
    """Within a factor of ten, either way: drivers of CPUs are no marvels, and machines are busy."""
    made = profiled(any_driver.name).profile
    roofline = made.roofline
    assert (roofline.source, roofline.isa) == ("measured", "opencl")
    host = prober.probe("read", prober.hello.threads, SIZE).value
    assert host / 10 < roofline.read_gb_per_s[SIZE] < host * 10
    assert all(0.1 < rate < 20_000 for rate in (roofline.f32_gflops, roofline.int8_gops))
    assert 10 < roofline.launch_ns < 50e6
    assert (made.limits.missing, made.predicted) == ("", None)
    assert "int32" in made.limits.int8
    assert {row.bound for row in made.kernels} <= {"memory", "f32", "launch"}
    assert all(row.of_bound > 0 for row in made.kernels)


def test_kernels_take_what_the_driver_s_clock_says(profiled):
    """PoCL has one, and rusticl has not."""
    made = profiled(installed_driver("pocl").name).profile
    decode = [row for row in made.kernels if row.phase == "decode"]
    assert sum(row.ms for row in decode) < sum(span.us for span in made.timeline) / 1e3
    assert all(0 < row.waiting < 1 for row in decode)
    made = profiled(installed_driver("rusticl").name).profile
    assert all(row.waiting < 0.01 for row in made.kernels)


def test_profiles_of_two_drivers_are_not_compared(profiled):
    pocl, rusticl = (profiled(installed_driver(name).name).profile for name in DRIVERS)
    with pytest.raises(NotComparableError, match=r"different devices .* with driver 3.* --device"):
        compare_profiles(pocl, rusticl)


REFUSED = {
    ("opencl:rusticl", "int9"): 'has no probe "int9"; give read, f32, int32 or launch',
    ("opencl:rusticl", "read"): "cannot read 0 bytes; give 16384 to",
    ("opencl:rusticl", "read", 100): "cannot read 100 bytes; give 16384 to",
    ("opencl:rusticl", "f32", 100): 'The probe "f32" reads no buffer; leave its size out',
    ("opencl:7000", "f32"): '"7000" names none of the OpenCL devices',
    ("null", "f32"): "There are no probes for the device null",
    ("abacus", "f32"): "is abacus, which is no device of this runtime",
}


def test_a_probe_that_cannot_be_run_says_so(prober, rusticl):
    for arguments, fault in REFUSED.items():
        with pytest.raises(SessionError) as refused:
            prober.device_probe(*arguments)
        assert fault in str(refused.value)
    assert prober.device_probe(rusticl.device, "launch").value > 0


def test_without_a_device_the_runtime_says_why(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("OSSC_OPENCL_LIBRARY", str(tmp_path / "nowhere.so"))
    done = CliRunner().invoke(main, ["profile", str(bundle), *SMALL])
    assert done.exit_code == 1
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert "nowhere.so" in said


def test_a_profile_of_no_device_has_no_limits(bundle):
    fields = json.loads(profile(bundle, "--device", "null", "--format", "json"))
    assert (fields["device"]["kind"], fields["roofline"]) == ("null", None)
    assert fields["limits"]["missing"] == "nothing was computed"
    assert fields["device"]["note"].startswith("Nothing was computed")
