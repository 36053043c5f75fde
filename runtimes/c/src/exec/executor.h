/* Runs the segments of a plan on the queue of one session. */
#ifndef OSSC_EXECUTOR_H_
#define OSSC_EXECUTOR_H_

#include "device/device.h"
#include "exec/step_recorder.h"

typedef struct executor {
  const plan* plan;
  device_queue* queue;
  step_recorder* recorder; /* of the call that runs; NULL: its times are not wanted */
} executor;

/* Runs all steps of a segment for 1 <= num_tokens <= segment->max_tokens rows. */
ossc_status executor_run(executor* e, const plan_segment* segment, int32_t num_tokens);

/* Writes what a body takes: tokens [count], which stand at `position` and behind. */
ossc_status executor_write_tokens(executor* e, const plan_segment* body, const int32_t* token_ids,
                                  int32_t count, int32_t position);

/* Copies the experts that the router number `router` chose for count rows.
 *   indices_out  [count, plan.num_experts_per_tok]; what the router has not is left as it is */
ossc_status executor_read_experts(executor* e, const plan_segment* body, int32_t router,
                                  size_t count, int32_t* indices_out);

#endif /* OSSC_EXECUTOR_H_ */
