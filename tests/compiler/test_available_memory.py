"""The memory that is left, from files as the kernel writes them."""

import pytest

from ossc.compiler.available_memory import available_bytes

V1_GROUPS = "5:devices:/\n4:memory:/box/a\n3:cpuset:/\n"
V1_JOINT_GROUPS = "4:cpu,memory,pids:/box/a\n"


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def machine(tmp_path, groups=""):
    write(tmp_path, proc__meminfo="MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    return write(tmp_path, proc__self__cgroup=groups)


def test_without_a_group_it_is_what_the_kernel_says(tmp_path):
    assert available_bytes(machine(tmp_path)) == 8000 * 1024


def test_where_nothing_says_it_it_is_not_known(tmp_path):
    assert available_bytes(tmp_path) is None


@pytest.mark.parametrize("place", ["sys/fs/cgroup/box", "sys/fs/cgroup"])
def test_a_group_2_leaves_its_limit_less_what_is_not_page_cache(tmp_path, place):
    root = machine(tmp_path, "0::/box\n")
    folder = place.replace("/", "__")
    files = {"memory.max": "1000000\n", "memory.stat": "anon 300000\nfile 600000\n"}
    write(root, **{f"{folder}__{name}": text for name, text in files.items()})
    assert available_bytes(root) == 700000


@pytest.mark.parametrize("groups", [V1_GROUPS, V1_JOINT_GROUPS])
@pytest.mark.parametrize("place", ["sys/fs/cgroup/memory/box/a", "sys/fs/cgroup/memory"])
def test_a_group_1_leaves_its_limit_less_what_is_not_page_cache(tmp_path, groups, place):
    root = machine(tmp_path, groups)
    folder = place.replace("/", "__")
    stat = "cache 5\nrss 7\ntotal_rss 400000\n"
    files = {"memory.limit_in_bytes": "1000000\n", "memory.stat": stat}
    write(root, **{f"{folder}__{name}": text for name, text in files.items()})
    assert available_bytes(root) == 600000


def test_a_group_without_a_limit_leaves_all(tmp_path):
    root = machine(tmp_path, "0::/\n4:memory:/\n")
    write(root, sys__fs__cgroup__memory__placeholder="")
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert available_bytes(root) == 8000 * 1024


def test_a_group_that_is_over_its_limit_leaves_nothing(tmp_path):
    root = machine(tmp_path, "0::/\n")
    write(root, sys__fs__cgroup__x="")
    (root / "sys/fs/cgroup/memory.max").write_text("1000\n")
    (root / "sys/fs/cgroup/memory.stat").write_text("anon 2000\n")
    assert available_bytes(root) == 0
