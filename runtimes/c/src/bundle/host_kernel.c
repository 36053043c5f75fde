#include <string.h>

#include "bundle/plan_reader.h"

static bool is_symbol(const char* name) {
  const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return name[0] != '\0' && strspn(name, letters) == strlen(name) &&
         (name[0] < '0' || name[0] > '9');
}

ossc_status plan_read_host_kernel(plan_reader* r, plan_step* step, uint32_t max_tokens) {
  plan_host_kernel* k = &step->host_kernel;
  ossc_status status = plan_read_name(r, &k->kernel);
  if (status != OSSC_OK) return status;
  uint8_t ranged = plan_read_u8(r);
  k->ranged = ranged == 1;
  k->tasks_fixed = plan_read_u32(r);
  k->tasks_per_token = plan_read_u32(r);
  if (r->cut) return plan_fault("it is cut");
  uint64_t tasks = k->tasks_fixed + (uint64_t)k->tasks_per_token * max_tokens;
  if (ranged > 1) return plan_fault("a step is neither ranged nor not");
  if (!is_symbol(k->kernel)) return plan_fault("a kernel does not have the name of a function");
  if (tasks > INT32_MAX) return plan_fault("a step has too many tasks");
  return k->ranged == (tasks > 0) ? OSSC_OK : plan_fault("a step is ranged without tasks, or not");
}
