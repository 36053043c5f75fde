"""The buffers of a plan."""

import pytest

from ossc.runtimes.plan import DType, Role, Use
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import tensor


@pytest.mark.parametrize(
    ("offset_bytes", "shape", "fault"),
    [
        pytest.param(-64, (1,), "out of range", id="before-the-space"),
        pytest.param(0, (-1, -1), "two dimensions of n_tokens", id="two-symbols"),
        pytest.param(0, (0,), "not valid", id="empty"),
        pytest.param(0, (-2,), "not valid", id="negative"),
        pytest.param(0, (1,) * 9, "too many dimensions", id="deep"),
    ],
)
def test_a_buffer_that_cannot_be_is_refused(offset_bytes, shape, fault):
    with pytest.raises(BundleError, match=fault):
        tensor(Use.STATE, offset_bytes, DType.F32, *shape)


@pytest.mark.parametrize(
    ("role", "dtypes"),
    [
        (Role.TOKEN_IDS, {DType.I32, DType.I64}),
        (Role.POSITIONS, {DType.I32, DType.I64}),
        (Role.HIDDEN, {DType.F32}),
        (Role.LOGITS, {DType.F32}),
        (Role.EXPERT_OFFSETS, {DType.I64}),
        (Role.EXPERT_INDICES, {DType.I32}),
        (Role.EXPERT_BOUNDS, {DType.I32}),
        (Role.EXPERT_ORDER, {DType.I32}),
        (Role.CODES, {DType.I8, DType.I16}),
        (Role.CODE_SCALES, {DType.F32}),
        (Role.CODE_SUMS, {DType.F32}),
    ],
)
def test_a_role_has_its_types_and_no_other(role, dtypes):
    for dtype in dtypes:
        assert tensor(Use.STATE, 0, dtype, 1, role=role).role == role
    for dtype in set(DType) - dtypes:
        with pytest.raises(BundleError, match=f"of the role {role.name} is {dtype.name}"):
            tensor(Use.STATE, 0, dtype, 1, role=role)
