/* Pages from the operating system. */
#ifndef OSSC_MEMORY_H_
#define OSSC_MEMORY_H_

#include "bundle/plan.h"
#include "device/host/watched_pages.h"
#include "ossc.h"

/* Memory of the process, page-aligned. */
typedef struct memory {
  void* data;
  size_t size_bytes;
  void* pages; /* what the system gave; data lies in it */
  size_t pages_bytes;
  watched_pages* watched; /* of a mapped file; NULL of the process's own pages */
} memory;

/* Refuses a plan whose spaces are more than a program can address, before anything is mapped: with
 * 32 bits 4 GB in total, and 2 GB for one of them. */
ossc_status memory_check_plan(const plan* p);

/* Zeros; a page takes memory once it is written. */
ossc_status memory_allocate(uint64_t size_bytes, const char* what, memory* memory_out);

/* The content of a file of exactly that size: mapped, or copied into huge pages. Read only. */
ossc_status memory_load(const char* path, uint64_t size_bytes, ossc_weights_mode mode,
                        memory* memory_out);

/* Whether a page was missing of what was mapped: its file was cut, or cannot be read any more. */
bool memory_is_cut(const memory* m);

/* The status of weights of which a page was missing. */
ossc_status memory_fail_cut(const char* directory, const char* file);

void memory_free(memory* m);

#endif /* OSSC_MEMORY_H_ */
