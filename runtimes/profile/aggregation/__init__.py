"""From the times of steps to those of kernels, layers and experts."""
