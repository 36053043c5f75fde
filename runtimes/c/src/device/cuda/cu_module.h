/* A code file of a bundle, loaded. */
#ifndef OSSC_CU_MODULE_H_
#define OSSC_CU_MODULE_H_

#include "device/cuda/cu_target.h"

/* Loads NAME.cubin, machine code of one architecture; where the device is of another one, the
 * driver compiles NAME.ptx instead, which has to be later than the one that it was written for. */
ossc_status cu_module_load(const cu_target* target, const char* directory, const char* file,
                           cu_module* module_out);

#endif /* OSSC_CU_MODULE_H_ */
