"""A profile in the terminal."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.report.table import WIDTH, to_table
from profile_example import driver_profile, emulated_profile, example_profile, with_conditions


@pytest.fixture(scope="module")
def profile():
    return example_profile()


@pytest.fixture(scope="module")
def table(profile):
    return to_table(profile)


def row(table, title):
    (line,) = [line for line in table.splitlines() if line.startswith(title)]
    return line[len(title) :].split()


def test_a_table_fits_the_terminal(table):
    lines = table.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if line != line.rstrip()]


def test_a_row_of_decode_has_percentiles_noise_rate_and_prediction(table, profile):
    latency = profile.decode[0].latency
    cells = row(table, "decode at 1024                   2 ")
    assert cells[:6] == [
        *(f"{latency.p50_ms:.2f}", "ms"),
        *(f"{latency.p90_ms:.2f}", "ms"),
        *(f"{latency.p99_ms:.2f}", "ms"),
    ]
    assert cells[6:8] == [f"±{100 * latency.noise:.1f}", "%"]
    assert cells[8] == f"{profile.decode[0].tokens_per_s:.1f}"
    predicted = profile.predicted.decode_ms[1024]
    off = 100 * (latency.p50_ms / predicted - 1)
    assert cells[9:] == [f"{predicted:.2f}", "ms", f"{off:+.1f}", "%"]


def test_a_row_of_prefill_has_its_prediction_as_a_time(table, profile):
    predicted = 512 / profile.predicted.prefill_tokens_per_s[512]
    cells = row(table, "prefill of 512                   2 ")
    assert cells[9:11] == [f"{predicted:.2f}", "s"]


def test_fewer_threads_have_no_prediction(table):
    assert row(table, "decode at 1024                   1 ")[-2:] == ["–", "–"]


def test_a_row_of_a_kernel_has_what_it_moved_and_what_held_it_back(table, profile):
    kernel = profile.kernels[0]
    cells = row(table, "expert_swiglu_mxfp4_int8x2_32x2880x2880_4_…    24")
    assert cells == [
        f"{kernel.ms:.1f}",
        f"{100 * kernel.share:.1f}%",
        f"{kernel.gb_per_s:.1f}",
        f"{kernel.gop_per_s:.0f}",
        "memory",
        "94%",
        "3%",
    ]


def test_calls_and_shares_of_all_rows_are_those_of_the_phase(table, profile):
    lines = table.split("decode, 88 %")[1].split("\n\n")[0].splitlines()[1:]
    shares = [next(cell for cell in line.split() if cell.endswith("%")) for line in lines]
    assert sum(float(share[:-1]) for share in shares) == pytest.approx(100, abs=0.5)


def test_one_kernel_beyond_the_longest_is_a_row_and_not_a_rest(profile):
    decode = [row for row in profile.kernels if row.phase == "decode"]
    assert "more" not in to_table(replace(profile, kernels=tuple(decode[:9])))
    assert "2 more" in to_table(replace(profile, kernels=tuple(decode[:10])))


def test_the_start_the_memory_and_the_costs_of_timestamps_are_told(table):
    text = " ".join(table.split())
    assert "opened in 61.0 ms (load 43.0 ms), first prompt of 512 in 13.6 s" in text
    assert "peak 12.12 GB, anonymous 238.0 MB, mapped 11.87 GB, KV cache 210.0 MB" in text
    assert "cost +0.6 %; steps add up to 99.1 % of the wall time" in text
    assert "memory 31.4 GB/s (nearest cache 212), f32 152 GFLOP/s, int8 688 GOP/s" in text


def test_the_hottest_and_the_coldest_expert_are_named(table, profile):
    shares = {
        (use.layer, expert): count / sum(use.counts)
        for use in profile.experts
        for expert, count in enumerate(use.counts)
    }
    layer, expert = max(shares, key=shares.__getitem__)
    unused = sum(share == 0 for share in shares.values())
    text = " ".join(table.split())
    assert f"hottest layer {layer} expert {expert} ({100 * max(shares.values()):.0f} %)" in text
    assert f"even use would be 3.1 % each; {unused} of 768 never chosen" in text


def test_emulated_times_are_never_shown_as_latency():
    table = to_table(emulated_profile())
    assert table.startswith("EMULATED on qemu:aarch64: no time below is the latency of any device.")
    timed = [line for line in table.splitlines() if "decode" in line or "prefill" in line]
    assert all("emulated" in line for line in timed if "× 32 decoded" not in line)
    assert "10.5" not in table  # tokens per second
    assert "limits" not in table
    assert max(map(len, table.splitlines())) <= WIDTH


def test_a_dense_model_has_no_line_of_experts(profile):
    bundle = replace(profile.bundle, num_experts=0, num_experts_per_tok=0)
    table = to_table(replace(profile, bundle=bundle, experts=()))
    assert "expert " not in table
    assert "gpt_oss, 24 layers, preset default" in table


def test_an_unused_layer_of_experts_is_no_fault(profile):
    idle = replace(profile.experts[0], counts=(0,) * 32, entropy=1.0)
    assert "32 never chosen" not in to_table(replace(profile, experts=(idle,)))
    table = " ".join(to_table(replace(profile, experts=(idle, profile.experts[1]))).split())
    assert "hottest layer 1 " in table


def test_many_lengths_do_not_fill_the_terminal(profile):
    table = to_table(replace(profile, decode=profile.decode * 10))
    assert "21 more in --format json" in table
    assert len(table.splitlines()) <= 50


def test_a_machine_that_says_nothing_of_itself_has_a_short_line(profile):
    machine = replace(profile.machine, cpu_model="", governor="", huge_pages="", mhz=0.0)
    table = to_table(replace(profile, machine=machine))
    assert "local         unknown CPU, 2 CPUs, load 0.12\n" in table


def test_text_of_another_machine_cannot_command_the_terminal(profile):
    machine = replace(profile.machine, cpu_model="\x1b[2Jevil\r")
    bundle = replace(profile.bundle, path="a\x1b]0;b\x07" + "x" * 300)
    table = to_table(replace(profile, machine=machine, bundle=bundle))
    assert all(char.isprintable() or char == "\n" for char in table)
    assert max(map(len, table.splitlines())) <= WIDTH


def test_limits_that_were_exceeded_are_doubted(profile, table):
    kernels = tuple(replace(row, of_bound=1.3) for row in profile.kernels)
    assert "busier" in to_table(replace(profile, kernels=kernels))
    assert "busier" not in table


FLIPPED = {"repeats": 4, "left_out": 3, "lowest_gb_per_s": 41.0, "highest_gb_per_s": 80.4}


def test_repeats_that_were_left_out_are_named_with_the_reason(profile, table):
    assert "repeats left out" not in table
    flat = " ".join(to_table(with_conditions(profile, **FLIPPED)).split())
    assert "decode at 1024: 3 of 7 repeats left out, reading went from 41.0 to 80.4 GB/s" in flat


def test_times_that_cannot_be_trusted_are_named_with_the_reason(profile):
    waiting = with_conditions(profile, steady=False, most_waited=0.31)
    flat = " ".join(to_table(waiting).split())
    assert "threads waited up to 31% of their time for a CPU, so that no repeat can be" in flat


def test_a_driver_of_a_cpu_is_labelled_before_all_figures():
    lines = to_table(driver_profile()).splitlines()
    assert lines[0] == "PoCL is a driver of a CPU."
    assert max(map(len, lines)) <= WIDTH
    text = " ".join(" ".join(lines).split())
    assert "device pthread (cpu), opencl by PoCL, driver 3.1, 25.00 GB of memory shared" in text
    assert "int32 for int8" in text


def test_a_gpu_and_the_cpu_itself_have_no_label(table):
    text = to_table(driver_profile(kind_of_device="gpu"))
    assert "is a driver of a CPU" not in text + table
    assert "pthread (gpu)" in text
    assert "opencl" not in table


def test_limits_that_were_not_measured_are_no_figures():
    lines = to_table(driver_profile(limits=False)).splitlines()
    (limits,) = [line for line in lines if line.startswith("limits")]
    assert limits.split(maxsplit=1)[1] == "not measured: no probes for cuda"
    (head,) = [line for line in lines if line.startswith("decode ") and "calls" in line]
    assert "of its limits" not in head
    kernel = lines[lines.index(head) + 1].split()
    assert kernel[-2] == "–"
