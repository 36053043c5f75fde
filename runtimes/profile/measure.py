"""Running a bundle to find out how long everything takes."""

from contextlib import ExitStack
from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.device.probes import ReadProbe, probe_roofline
from ossc.runtimes.profile.make_profile import make_profile
from ossc.runtimes.profile.measurement import Measurement, OnProgress
from ossc.runtimes.profile.places import LOCAL, Place
from ossc.runtimes.profile.profile import Profile
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
        threads = runner.hello.threads
        read_probe = None
        if not place.emulated:
            prober = running.enter_context(
                place.start(bundle, threads=threads, device=workload.device)
            )
            read_probe = ReadProbe(runner=prober, threads=threads, weights=workload.weights)
        measured = Measurement(bundle, workload, runner, read_probe, on_progress)
        measured.run()
        on_progress("limits of the machine")
        roofline = None
        if read_probe is not None:
            roofline = probe_roofline(read_probe.runner, threads, workload.weights)
    return make_profile(bundle, place, measured, roofline)
