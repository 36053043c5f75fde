"""Running a bundle to find out how long everything takes."""

from contextlib import ExitStack
from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.device.answers import THE_CPU, Device, Hello
from ossc.runtimes.profile.device.probes import CpuProber, DriverProber, Prober
from ossc.runtimes.profile.make_profile import make_profile
from ossc.runtimes.profile.measurement import Measurement, OnProgress
from ossc.runtimes.profile.places import LOCAL, Place
from ossc.runtimes.profile.profile import LimitsNote, Profile
from ossc.runtimes.profile.workload import Workload


def profile_bundle(
    path: Path,
    workload: Workload,
    place: Place = LOCAL,
    on_progress: OnProgress = lambda _: None,
) -> Profile:
    """Measure a bundle.

    Args:
        path: The bundle's directory.
        workload: What to run.
        place: Where.
        on_progress: Told what comes next.

    Raises:
        BundleError: The bundle is damaged, incomplete or of another version.
        UsageError: The workload does not fit into the bundle's context.
        SessionError: The place cannot run the bundle, or the run failed.
    """
    bundle = Bundle.open(path, kv=workload.kv)
    workload = workload.fit(bundle.manifest.context)
    on_progress("start")
    with ExitStack() as running:
        runner = running.enter_context(
            place.start(
                bundle,
                threads=workload.threads,
                weights=workload.weights,
                device=workload.device,
            )
        )
        missing = _missing_limits(place, runner.hello.device)
        prober = None if missing else _start_prober(running, place, bundle, workload, runner.hello)
        measured = Measurement(bundle, workload, runner, prober, on_progress)
        measured.run()
        on_progress("limits of the device")
        roofline = None if prober is None else prober.roofline()
        limits = LimitsNote(missing=missing) if prober is None else prober.note
    return make_profile(bundle, place, measured, roofline, limits)


def _missing_limits(place: Place, device: Device) -> str:
    """Say why there are no limits; empty where they can be measured."""
    if place.emulated:
        return "the times are an emulator's"
    if device.kind == "null":
        return "nothing was computed"
    if device.kind != THE_CPU.kind and not device.has_probes:
        return f"ossc has no probes for {device.kind} devices"
    return ""


def _start_prober(
    running: ExitStack, place: Place, bundle: Bundle, workload: Workload, hello: Hello
) -> Prober:
    """Start a second process on the machine, which measures limits."""
    device = hello.device
    if device.kind == THE_CPU.kind:
        beside = place.start(bundle, threads=hello.threads, device=workload.device)
        runner = running.enter_context(beside)
        return CpuProber(runner=runner, threads=hello.threads, weights=workload.weights)
    runner = running.enter_context(place.start(bundle, device="null"))
    return DriverProber(runner=runner, device=device)
