"""Which OpenCL devices there are, and which one is meant."""

import json

import pytest
from click.testing import CliRunner

from ossc.compiler.cli import main
from ossc.runtimes.devices import list_devices
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError


def test_the_driver_is_listed(bundle, any_driver):
    devices = [each for each in list_devices(bundle) if each.kind == "opencl"]
    assert [each.index for each in devices] == list(range(len(devices)))
    (device,) = [each for each in devices if f"opencl:{each.platform}" == any_driver.device]
    assert (device.type, device.shares_memory) == ("cpu", True)
    assert device.name
    assert device.driver
    assert device.memory_bytes > 2**30


def test_one_device_is_the_default(bundle, pocl):
    devices = [each for each in list_devices(bundle) if each.kind == "opencl"]
    (default,) = [each for each in devices if each.is_default]
    best = min(["gpu", "accelerator", "cpu"].index(each.type) for each in devices)
    assert default.type == ["gpu", "accelerator", "cpu"][best]
    assert pocl.name


def test_program_and_command_print_the_same_list(bundle, pocl, run_program):
    form = ["--list-devices", "--format", "json"]
    printed = run_program(*form)
    assert json.loads(printed.stdout)["devices"][0]["kind"] == "cpu"
    done = CliRunner().invoke(main, ["run", str(bundle), *form])
    assert json.loads(done.output) == json.loads(printed.stdout)
    done = CliRunner().invoke(main, ["run", str(bundle), "--list-devices"])
    assert done.output == run_program("--list-devices").stdout
    assert f"{pocl.device.split(':')[1]} / " in done.output


def test_a_device_is_named_by_its_number_or_a_part_of_its_name(bundle, any_driver):
    platform = any_driver.device.split(":")[1]
    (device,) = [each for each in list_devices(bundle) if each.platform == platform]
    for which in (device.index, platform.upper(), device.name[3:9]):
        with Session(bundle, device=f"opencl:{which}") as session:
            session.prefill([1])


@pytest.mark.parametrize(
    ("device", "fault"),
    [
        ("opencl:7000", '"7000" names none of the OpenCL devices; give a number or a name of one'),
        ("opencl:abacus", '"abacus" names none of the OpenCL devices'),
        ("cuda", "The device is cuda, which is no device of this runtime; leave it out, or name"),
        ("OPENCL", "which is no device of this runtime"),
        ("cpu", "compile the model for a CPU"),
        ("null:3", '"3" names none'),
    ],
)
def test_a_device_that_is_not_there_is_refused(reason, pocl, device, fault):
    assert fault in reason(device)
    assert pocl.name


def test_a_name_that_several_have_is_refused(reason, bundle, pocl):
    names = [each.platform + each.name for each in list_devices(bundle) if each.kind == "opencl"]
    if len(names) < 2:
        pytest.skip("there is one OpenCL device")
    common = next(letter for letter in "abcdefghijklmnop" if all(letter in n for n in names))
    assert "names more than one of the OpenCL devices" in reason(f"opencl:{common}")
    assert pocl.name


@pytest.mark.parametrize("device", ["", "opencl:\n", 0, b"opencl"])
def test_what_is_no_name_is_refused(bundle, device):
    with pytest.raises(SessionError, match="it has to be KIND or KIND:WHICH"):
        Session(bundle, device=device)


def test_an_empty_name_is_wrong_usage(reason):
    assert "--device is empty; give a name of --list-devices" in reason("", status=2)


def test_files_of_a_bundle_need_no_device(bundle):
    verified = CliRunner().invoke(main, ["verify", str(bundle), "--device", "opencl"])
    assert verified.exit_code == 2
    assert "--device needs --against" in verified.output
