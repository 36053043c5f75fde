#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "device/host/memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define READ_BYTES ((size_t)64 << 20)

static void* map_anonymous(size_t size_bytes) {
  void* pages = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}

/* Whether one mapping can have so many bytes, and room for its alignment: C libraries give none
 * that a difference of pointers does not hold. */
static bool is_mappable(uint64_t size_bytes) {
  return size_bytes <= PTRDIFF_MAX - 2 * HUGE_PAGE_BYTES;
}

static uint64_t largest_space(const plan* p) {
  uint64_t largest = 0;
  for (uint32_t i = 0; i < p->num_spaces; ++i) {
    if (p->spaces[i].size_bytes > largest) largest = p->spaces[i].size_bytes;
  }
  return largest;
}

ossc_status memory_check_plan(const plan* p) {
  uint64_t largest = largest_space(p);
  uint64_t bytes = plan_size_bytes(p, PLAN_WEIGHTS) + plan_size_bytes(p, PLAN_STATE) +
                   plan_size_bytes(p, PLAN_ARENA);
  if (is_mappable(largest) && bytes <= SIZE_MAX) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The bundle takes %llu bytes of memory, %llu of them in one piece, and a program of "
              "%zu bits has at most %llu and %llu; compile the model for a 64-bit machine, or a "
              "smaller model or --context.",
              (unsigned long long)bytes, (unsigned long long)largest, 8 * sizeof(size_t),
              (unsigned long long)SIZE_MAX, (unsigned long long)PTRDIFF_MAX);
}

ossc_status memory_allocate(uint64_t size_bytes, const char* what, memory* memory_out) {
  size_t pages_bytes = (size_t)size_bytes + 1; /* an empty mapping is an error */
  void* pages = is_mappable(size_bytes) ? map_anonymous(pages_bytes) : NULL;
  if (pages == NULL) return fail_out_of_memory(what);
  *memory_out = (memory){pages, (size_t)size_bytes, pages, pages_bytes, NULL};
  return OSSC_OK;
}

static ossc_status map_file(int descriptor, const char* path, size_t size_bytes,
                            memory* memory_out) {
  *memory_out = (memory){0};
  if (size_bytes == 0) return OSSC_OK;
  void* pages = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (pages == MAP_FAILED) return fail_file("map", path);
  /* A wish: what comes from the disk now comes in huge pages where the file system has them. */
  madvise(pages, size_bytes, MADV_HUGEPAGE);
  watched_pages* watched;
  ossc_status status = watched_pages_add(pages, size_bytes, &watched);
  if (status != OSSC_OK) {
    munmap(pages, size_bytes);
    return status;
  }
  *memory_out = (memory){pages, size_bytes, pages, size_bytes, watched};
  return OSSC_OK;
}

static ossc_status read_all(int descriptor, const char* path, char* data, size_t size_bytes) {
  size_t done = 0;
  while (done < size_bytes) {
    size_t wanted = size_bytes - done < READ_BYTES ? size_bytes - done : READ_BYTES;
    ssize_t count = read(descriptor, data + done, wanted);
    if (count > 0) done += (size_t)count;
    if (count == 0) return fail(OSSC_ERROR_BUNDLE, "%s is cut; copy the bundle again.", path);
    if (count < 0 && errno != EINTR) return fail_file("read", path);
  }
  return OSSC_OK;
}

static ossc_status copy_file(int descriptor, const char* path, size_t size_bytes,
                             memory* memory_out) {
  size_t pages_bytes = size_bytes + HUGE_PAGE_BYTES;
  char* pages = map_anonymous(pages_bytes);
  if (pages == NULL) return fail_out_of_memory("resident weights");
  char* data = pages + (HUGE_PAGE_BYTES - (uintptr_t)pages % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
  madvise(data, size_bytes, MADV_HUGEPAGE); /* a wish: without it the weights are only slower */
  ossc_status status = read_all(descriptor, path, data, size_bytes);
  if (status != OSSC_OK) {
    munmap(pages, pages_bytes);
    return status;
  }
  mprotect(pages, pages_bytes, PROT_READ);
  *memory_out = (memory){data, size_bytes, pages, pages_bytes, NULL};
  return OSSC_OK;
}

ossc_status memory_load(const char* path, uint64_t size_bytes, ossc_weights_mode mode,
                        memory* memory_out) {
  int descriptor;
  uint64_t actual_bytes;
  ossc_status status = file_open(path, &descriptor, &actual_bytes);
  if (status != OSSC_OK) return status;
  if (actual_bytes != size_bytes) {
    status =
        fail(OSSC_ERROR_BUNDLE, "%s has %llu bytes and %llu are needed; copy the bundle again.",
             path, (unsigned long long)actual_bytes, (unsigned long long)size_bytes);
  } else if (!is_mappable(size_bytes)) {
    status = fail_out_of_memory("the weights");
  } else if (mode == OSSC_WEIGHTS_RESIDENT) {
    status = copy_file(descriptor, path, (size_t)size_bytes, memory_out);
  } else {
    status = map_file(descriptor, path, (size_t)size_bytes, memory_out);
  }
  close(descriptor);
  return status;
}

bool memory_is_cut(const memory* m) {
  return m->watched != NULL && watched_pages_are_cut(m->watched);
}

ossc_status memory_fail_cut(const char* directory, const char* file) {
  return fail(OSSC_ERROR_BUNDLE,
              "%s/%s was cut, or can no longer be read, since it was opened; copy the bundle "
              "again and open it again.",
              directory, file);
}

void memory_free(memory* m) {
  watched_pages_remove(m->watched);
  if (m->pages != NULL) munmap(m->pages, m->pages_bytes);
  *m = (memory){0};
}
