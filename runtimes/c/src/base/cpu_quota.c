/* Linux: Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst; proc(5) on the fields
 * of /proc/self/cgroup and mountinfo. */
#define _POSIX_C_SOURCE 200809L /* getline, strtok_r */
#include "base/cpu_quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define MOST_CPUS 65535
#define MOUNT_FIELDS 6 /* before the optional ones */

typedef struct search {
  const char* root;  /* before all paths */
  bool unified;      /* the hierarchy is of version 2 */
  const char* group; /* of this process, in the hierarchy */
  int32_t least;     /* CPUs that were found */
} search;

/* Takes apart one line of a file. */
typedef void (*line_reader)(char* line, search* s);

static void read_lines(const char* name, line_reader reader, search* s) {
  char path[PATH_BYTES];
  char* line = NULL;
  size_t capacity = 0;
  if (snprintf(path, sizeof(path), "%s%s", s->root, name) >= (int)sizeof(path)) return;
  FILE* file = fopen(path, "re");
  while (file != NULL && getline(&line, &capacity, file) >= 0) {
    line[strcspn(line, "\n")] = '\0';
    reader(line, s);
  }
  free(line);
  if (file != NULL) fclose(file);
}

/* Numbers at the start of a file: how many there are, 0 to 2; "max" is none. */
static int read_numbers(const char* folder, const char* name, double* first, double* second) {
  char path[PATH_BYTES + 32];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  FILE* file = fopen(path, "re");
  if (file == NULL) return 0;
  int count = fscanf(file, "%lf %lf", first, second);
  fclose(file);
  return count;
}

static void read_group(const char* folder, search* s) {
  double quota = 0, period = 0, unused;
  if (s->unified) {
    if (read_numbers(folder, "cpu.max", &quota, &period) < 2) return;
  } else {
    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused) < 1) return;
    if (read_numbers(folder, "cpu.cfs_period_us", &period, &unused) < 1) return;
  }
  if (!(period > 0) || !(quota > 0) || quota / period > MOST_CPUS) return; /* -1: no quota */
  int32_t cpus = (int32_t)(quota / period);
  if (cpus < quota / period) ++cpus;
  if (cpus < s->least) s->least = cpus;
}

/* Whether one of the words between commas is that. */
static bool has_word(const char* list, const char* word) {
  size_t length = strlen(word);
  for (const char* at = list; (at = strstr(at, word)) != NULL; at += length) {
    bool begins = at == list || at[-1] == ',', ends = at[length] == '\0' || at[length] == ',';
    if (begins && ends) return true;
  }
  return false;
}

/* What is left of the group's path below the mount; "" where the mount shows another part. */
static const char* below(const char* mounted, const char* group) {
  size_t length = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
  bool within = strncmp(mounted, group, length) == 0 && strstr(group, "/..") == NULL;
  if (!within || strcmp(group + length, "/") == 0) return "";
  return group[length] == '/' ? group + length : "";
}

/* The group and those around it, as far as they are mounted. */
static void read_groups(const char* mounted, const char* point, search* s) {
  char folder[PATH_BYTES];
  size_t top = strlen(s->root) + strlen(point);
  int length =
      snprintf(folder, sizeof(folder), "%s%s%s", s->root, point, below(mounted, s->group));
  if (length < 0 || length >= (int)sizeof(folder)) return;
  for (char* end = folder + length; end != NULL; end = strrchr(folder, '/')) {
    if (end < folder + top) return;
    *end = '\0';
    read_group(folder, s);
  }
}

/* `\040` stands for a space in a path, and so on. */
static void unescape(char* path) {
  char* to = path;
  for (const char* from = path; *from != '\0'; ++to) {
    bool escaped = from[0] == '\\' && strspn(from + 1, "01234567") >= 3;
    *to = escaped ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0')) : *from;
    from += escaped ? 4 : 1;
  }
  *to = '\0';
}

/* `36 35 98:0 /root /point rw,noatime shared:1 - type source rw,cpu` */
static void read_mount(char* line, search* s) {
  char *fields[MOUNT_FIELDS], *rest = strstr(line, " - "), *place = NULL;
  if (rest == NULL) return;
  *rest = '\0';
  for (int i = 0; i < MOUNT_FIELDS; ++i) {
    fields[i] = strtok_r(i == 0 ? line : NULL, " ", &place);
    if (fields[i] == NULL) return;
  }
  const char* type = strtok_r(rest + 3, " ", &place);
  const char* source = strtok_r(NULL, " ", &place);
  const char* options = strtok_r(NULL, " ", &place);
  if (type == NULL || source == NULL || options == NULL) return;
  bool matches = s->unified ? strcmp(type, "cgroup2") == 0
                            : strcmp(type, "cgroup") == 0 && has_word(options, "cpu");
  if (!matches) return;
  unescape(fields[3]);
  unescape(fields[4]);
  read_groups(fields[3], fields[4], s);
}

/* `4:cpu,cpuacct:/group`; version 2 has the number 0 and no controllers. */
static void read_hierarchy(char* line, search* s) {
  char* controllers = strchr(line, ':');
  char* group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
  if (group == NULL) return;
  *controllers++ = '\0';
  *group++ = '\0';
  s->unified = strcmp(line, "0") == 0;
  s->group = group;
  if (s->unified || has_word(controllers, "cpu")) read_lines("/proc/self/mountinfo", read_mount, s);
}

int32_t cpu_quota(const char* root) {
  search s = {.root = root, .least = INT32_MAX};
  read_lines("/proc/self/cgroup", read_hierarchy, &s);
  return s.least;
}
