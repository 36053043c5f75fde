/* Bytes that a device takes later: the caller's may change meanwhile. */
#ifndef OSSC_CU_STAGING_H_
#define OSSC_CU_STAGING_H_

#include "device/cuda/cu_target.h"

/* Memory of the host that the device reads by itself. */
typedef struct cu_staging {
  char* data;
  size_t used; /* 0 again once the stream was waited for */
} cu_staging;

int32_t cu_staging_open(const cu_target* target, cu_staging* staging_out);

void cu_staging_close(const cu_target* target, cu_staging* staging);

/* Enqueues the copy of bytes to an address, in pieces where they are many; waits for the stream
 * where there is no room. */
int32_t cu_staging_write(const cu_target* target, cu_staging* staging, cu_stream stream,
                         cu_address to, const void* data, size_t size);

#endif /* OSSC_CU_STAGING_H_ */
