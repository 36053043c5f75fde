#include "bundle/plan_reader.h"

ossc_status plan_read_host_kernel(plan_reader* r, plan_step* step, uint32_t max_tokens) {
  plan_host_kernel* k = &step->host_kernel;
  ossc_status status = plan_read_symbol(r, &k->kernel);
  if (status != OSSC_OK) return status;
  uint8_t ranged = plan_read_u8(r);
  k->ranged = ranged == 1;
  k->tasks_fixed = plan_read_u32(r);
  k->tasks_per_token = plan_read_u32(r);
  if (r->cut) return plan_fault("it is cut");
  uint64_t tasks = k->tasks_fixed + (uint64_t)k->tasks_per_token * max_tokens;
  if (ranged > 1) return plan_fault("a step is neither ranged nor not");
  if (tasks > INT32_MAX) return plan_fault("a step has too many tasks");
  return k->ranged == (tasks > 0) ? OSSC_OK : plan_fault("a step is ranged without tasks, or not");
}
