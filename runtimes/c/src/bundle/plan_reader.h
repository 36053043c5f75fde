/* Fields of plan.bin, taken in order from bytes that nobody vouches for. */
#ifndef OSSC_PLAN_READER_H_
#define OSSC_PLAN_READER_H_

#include "bundle/plan.h"

typedef struct plan_reader {
  const uint8_t* data;
  size_t size;
  size_t offset;
  bool cut;    /* a field went beyond the end; all after it read as 0 */
  char* names; /* where the next name goes */
} plan_reader;

uint8_t plan_read_u8(plan_reader* r);
uint32_t plan_read_u32(plan_reader* r);
uint64_t plan_read_u64(plan_reader* r);

/* A count of things that take at least so many bytes each: 0 when they cannot all follow. */
uint32_t plan_read_count(plan_reader* r, size_t min_bytes);

/* A printable text, which lives as long as the plan. */
ossc_status plan_read_name(plan_reader* r, const char** name_out);

/* The name of a function. */
ossc_status plan_read_symbol(plan_reader* r, const char** name_out);

/* Refuses a plan of which a field went beyond the end. */
ossc_status plan_read_check(const plan_reader* r);

/* A segment, and its steps; each step's number is the next of the plan's. */
ossc_status plan_read_segment(plan_reader* r, plan_segment* segment, uint32_t* num_steps);

/* A step for at most so many rows. */
ossc_status plan_read_step(plan_reader* r, plan_step* step, uint32_t max_tokens);

/* The part of a step that is its kind's own; what all kinds share is in the step already. */
ossc_status plan_read_host_kernel(plan_reader* r, plan_step* step, uint32_t max_tokens);
ossc_status plan_read_device_kernel(plan_reader* r, plan_step* step, uint32_t max_tokens);

#endif /* OSSC_PLAN_READER_H_ */
