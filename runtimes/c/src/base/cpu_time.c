#define _POSIX_C_SOURCE 200809L /* opendir */
#include "base/cpu_time.h"

#include <dirent.h>
#include <stdio.h>

#define TASKS "/proc/self/task"

/* Adds what the schedstat of a thread says: ns that it ran, and ns that it waited to run. */
static void add_thread(const char* thread, cpu_time* total) {
  char path[sizeof(TASKS "/") + sizeof(((struct dirent*)0)->d_name) + sizeof("/schedstat")];
  unsigned long long ran_ns, waited_ns;
  snprintf(path, sizeof(path), TASKS "/%s/schedstat", thread);
  FILE* file = fopen(path, "re");
  if (file == NULL) return;
  if (fscanf(file, "%llu %llu", &ran_ns, &waited_ns) == 2) {
    total->ran_s += 1e-9 * (double)ran_ns;
    total->waited_s += 1e-9 * (double)waited_ns;
  }
  fclose(file);
}

cpu_time cpu_time_of_process(void) {
  cpu_time total = {0};
  DIR* tasks = opendir(TASKS);
  if (tasks == NULL) return total;
  for (struct dirent* entry; (entry = readdir(tasks)) != NULL;) {
    if (entry->d_name[0] != '.') add_thread(entry->d_name, &total);
  }
  closedir(tasks);
  return total;
}
