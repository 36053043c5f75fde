"""Running a bundle to find out how long everything takes."""

from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.device.probes import probe_roofline
from ossc.runtimes.profile.make_profile import make_profile
from ossc.runtimes.profile.measurement import Measurement, OnProgress
from ossc.runtimes.profile.places import LOCAL, Place
from ossc.runtimes.profile.profile import Profile
from ossc.runtimes.profile.roofline import Roofline
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
    with place.start(bundle, threads=workload.threads, weights=workload.weights) as runner:
        measured = Measurement(bundle, workload, runner, on_progress)
        measured.run()
    on_progress("limits of the machine")
    roofline = None if place.emulated else _roofline(bundle, place, measured)
    return make_profile(bundle, place, measured, roofline)


def _roofline(bundle: Bundle, place: Place, measured: Measurement) -> Roofline:
    """Probe in a process of its own, whose buffers do not count as the bundle's memory."""
    with place.start(bundle, threads=measured.threads) as runner:
        return probe_roofline(runner, measured.threads, measured.workload.weights)
