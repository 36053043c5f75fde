"""CPUs: operations to kernels, packed weights, object code, linking."""
