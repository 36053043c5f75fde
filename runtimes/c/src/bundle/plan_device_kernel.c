#include "base/file.h"
#include "bundle/plan_reader.h"

#define MAX_GROUPS INT32_MAX /* kernels count them in 32 bits */

uint64_t plan_count_groups(const plan_groups* groups, uint32_t rows) {
  uint64_t items = groups->fixed + (uint64_t)groups->per_token * rows;
  return items / groups->divisor + (items % groups->divisor != 0);
}

static void read_launch(plan_reader* r, plan_device_kernel* k) {
  for (int i = 0; i < 3; ++i) {
    k->grid[i].fixed = plan_read_u32(r);
    k->grid[i].per_token = plan_read_u32(r);
    k->grid[i].divisor = plan_read_u32(r);
  }
  for (int i = 0; i < 3; ++i) k->block[i] = plan_read_u32(r);
}

static ossc_status check_grid(const plan_device_kernel* k, uint32_t max_tokens) {
  for (int i = 0; i < 3; ++i) {
    const plan_groups* groups = &k->grid[i];
    if (groups->divisor == 0) return plan_fault("groups of a launch are divided by 0");
    if (groups->fixed == 0 && groups->per_token == 0) return plan_fault("a launch has no groups");
    if (plan_count_groups(groups, max_tokens) > MAX_GROUPS) {
      return plan_fault("a launch has too many groups");
    }
  }
  return OSSC_OK;
}

static ossc_status check_block(const plan_device_kernel* k) {
  uint64_t items = 1;
  for (int i = 0; i < 3; ++i) {
    if (k->block[i] - 1 >= PLAN_MAX_BLOCK) return plan_fault("a group has an impossible size");
    items *= k->block[i];
  }
  return items <= PLAN_MAX_BLOCK ? OSSC_OK : plan_fault("a group has too many work-items");
}

ossc_status plan_read_device_kernel(plan_reader* r, plan_step* step, uint32_t max_tokens) {
  plan_device_kernel* k = &step->device_kernel;
  ossc_status status = plan_read_name(r, &k->code);
  if (status == OSSC_OK) status = plan_read_symbol(r, &k->kernel);
  if (status != OSSC_OK) return status;
  uint8_t takes_rows = plan_read_u8(r);
  k->takes_rows = takes_rows == 1;
  read_launch(r, k);
  if (r->cut) return plan_fault("it is cut");
  if (!file_name_is_valid(k->code)) return plan_fault("a kernel lies in no file of a bundle");
  if (takes_rows > 1) return plan_fault("a kernel neither takes the rows nor not");
  status = check_grid(k, max_tokens);
  return status == OSSC_OK ? check_block(k) : status;
}
