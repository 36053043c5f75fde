"""CPUs that a process's control groups pay for, on made-up systems of files."""

import subprocess

import pytest

from synthetic.tiny_bundle import compile_c, program_sources

NO_QUOTA = 2**31 - 1
V1 = "32 31 0:29 {root} {point} rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
V2 = "30 24 0:26 {root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
OTHERS = (
    "24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
    "nonsense",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    output = tmp_path_factory.mktemp("cpu_quota") / "test_cpu_quota"
    return compile_c(output, program_sources("test_cpu_quota"), ("-O1",))


@pytest.fixture
def quota(program, tmp_path):
    """The quota, given the lines of cgroup and mountinfo and the files of groups."""

    def run(groups, mounts, files):
        folder = tmp_path / "proc/self"
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text("\n".join([*groups, ""]))
        (folder / "mountinfo").write_text("\n".join([*OTHERS, *mounts, ""]))
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        finished = subprocess.run(
            [program, str(tmp_path)], capture_output=True, text=True, check=True
        )
        return int(finished.stdout)

    return run


def v1_files(*groups):
    """Files of version 1, of groups given as ``(folder, quota, period)``."""
    return {
        f"{folder}/cpu.cfs_{name}_us": str(value)
        for folder, *values in groups
        for name, value in zip(("quota", "period"), values, strict=True)
    }


V1_POINT = "/sys/fs/cgroup/cpu,cpuacct"
V1_TOP = V1_POINT[1:]
V1_GROUPS = ["12:cpuset:/elsewhere", "4:cpu,cpuacct:/docker/abc", "1:name=systemd:/docker/abc"]
V2_TOP = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("microseconds", "cpus"),
    [(100000, 1), (150000, 2), (400000, 4), (1000, 1), (-1, NO_QUOTA), (10**12, NO_QUOTA)],
)
def test_a_quota_of_version_1_counts_rounded_up(quota, microseconds, cpus):
    mount = V1.format(root="/", point=V1_POINT)
    files = v1_files((f"{V1_TOP}/docker/abc", microseconds, 100000))
    assert quota(V1_GROUPS, [mount], files) == cpus


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("100000 100000", 1), ("250000 100000", 3), ("max 100000", NO_QUOTA), ("", NO_QUOTA)],
)
def test_a_quota_of_version_2_counts_rounded_up(quota, text, cpus):
    mount = V2.format(root="/", point="/sys/fs/cgroup")
    files = {f"{V2_TOP}/app.slice/cpu.max": text}
    assert quota(["0::/app.slice"], [mount], files) == cpus


def test_the_smallest_quota_of_nested_groups_counts_in_version_1(quota):
    files = v1_files(
        (V1_TOP, -1, 100000),
        (f"{V1_TOP}/docker", 200000, 100000),
        (f"{V1_TOP}/docker/abc", 300000, 50000),
        (f"{V1_TOP}/docker/other", 1000, 100000),
    )
    assert quota(V1_GROUPS, [V1.format(root="/", point=V1_POINT)], files) == 2


def test_the_smallest_quota_of_nested_groups_counts_in_version_2(quota):
    files = {
        f"{V2_TOP}/a/cpu.max": "300000 100000",
        f"{V2_TOP}/a/b/cpu.max": "max 100000",
        f"{V2_TOP}/a/b/c/cpu.max": "800000 100000",
        f"{V2_TOP}/a/d/cpu.max": "100000 100000",
    }
    mount = V2.format(root="/", point="/sys/fs/cgroup")
    assert quota(["0::/a/b/c"], [mount], files) == 3


@pytest.mark.parametrize("group", ["/docker/abc", "/", "/../..", "/docker/abcd", "/docker"])
def test_a_mount_that_shows_only_the_group_itself_counts(quota, group):
    """As in containers: what is above the mount cannot be seen."""
    mount = V1.format(root="/docker/abc", point=V1_POINT)
    files = v1_files((V1_TOP, 200000, 100000))
    assert quota([f"4:cpu,cpuacct:{group}"], [mount], files) == 2


def test_groups_below_the_mounted_one_count(quota):
    mount = V2.format(root="/docker/abc", point="/sys/fs/cgroup")
    files = {f"{V2_TOP}/inner/cpu.max": "100000 100000", f"{V2_TOP}/cpu.max": "500000 100000"}
    assert quota(["0::/docker/abc/inner"], [mount], files) == 1


def test_both_versions_count_where_both_are_mounted(quota):
    mounts = [
        V1.format(root="/", point=V1_POINT),
        V2.format(root="/", point="/sys/fs/cgroup/unified"),
    ]
    files = v1_files((f"{V1_TOP}/docker/abc", 200000, 100000))
    files["sys/fs/cgroup/unified/u/cpu.max"] = "300000 100000"
    assert quota([*V1_GROUPS, "0::/u"], mounts, files) == 2


def test_a_mount_point_with_a_space_is_found(quota):
    files = {"sys/my groups/cpu.max": "100000 100000"}
    mount = V2.format(root="/", point=r"/sys/my\040groups")
    assert quota(["0::/"], [mount], files) == 1


def test_a_group_of_another_controller_does_not_count(quota):
    files = v1_files(("sys/fs/cgroup/cpuset", 100000, 100000))
    assert quota(["3:cpuset:/", "5:cpuacct:/"], [], files) == NO_QUOTA


def test_without_proc_there_is_no_quota(program, tmp_path):
    finished = subprocess.run([program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(finished.stdout) == NO_QUOTA
