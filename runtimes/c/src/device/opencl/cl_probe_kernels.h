#ifndef OSSC_CL_PROBE_KERNELS_H_
#define OSSC_CL_PROBE_KERNELS_H_

/* Kernels that do one thing as fast as an OpenCL device can, in OpenCL C 1.2. In each, `repeats`
 * is the second argument, and groups have CL_PROBE_ITEMS work-items; the first argument is a
 * buffer, of which only probe_read reads. */
extern const char cl_probe_kernels[];

#define CL_PROBE_NAME "the probes" /* in messages */
#define CL_PROBE_ITEMS 64
#define CL_PROBE_SUMS 8 /* that a work-item computes, none of which waits for another */

#endif /* OSSC_CL_PROBE_KERNELS_H_ */
