"""Operations whose lowering is the same for all devices, but for the kernels that they call."""
