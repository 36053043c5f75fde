/* A device that computes nothing: what a call costs besides its steps, and the skeleton to copy.
 *
 * To add a kind of device:
 *   1. Copy this folder to device/<kind>, and put its api into test/device_kinds.c; the compiler
 *      finds the api by the folder's name.
 *   2. `open`: refuse plans of other kinds; put each space of weights where the device reads it;
 *      find for every step what it calls, by the step's number. A queue only reads a device.
 *   3. `start` and `release`: one allocation for each space of state and arena. State is zeros.
 *   4. `run`: steps in order, tensors at their spaces and offsets, PLAN_N_TOKENS replaced by
 *      num_tokens. It may return before they are done, if `read` and `finish` wait.
 *   5. `write`, `read`, `copy`, `fill`: in the order of the calls, between the runs.
 *   6. `check`: whether the weights are still what was loaded.
 *   7. `list`: where there are several devices, device/listed_devices finds the one that is meant;
 *      device/clock turns the times of a device's own clock into ticks.
 *      `open_prober`: where probes can be run; without it a profile has no limits.
 *   8. A kind of step of its own: a file in bundle/ that reads its part, and a line in
 *      bundle/plan_step.c; docs/bundle-format.md says what the part holds.
 *   9. Name the kind in bundle/manifest_target.c, and in runtimes/manifest/target.py.
 *   10. Run test/device_suite.c over it: every entry of the api is tested there for all kinds.
 */
#include "device/null/null_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static ossc_status open_device(const device_request* request, device** device_out) {
  ossc_status status = device_check_only(request->which);
  if (status != OSSC_OK) return status;
  *device_out = calloc(1, sizeof(device));
  if (*device_out == NULL) return fail_out_of_memory("a device");
  **device_out = (device){
      .api = &null_device_api,
      .instruction_set = "base",
      .info = {.kind = "null", .platform = "ossc", .name = "computes nothing", .type = "other"},
  };
  fputs("ossc: The device is null: nothing is computed, and all answers are zeros.\n",
        stderr);
  return OSSC_OK;
}

static ossc_status check(const device* d) {
  (void)d;
  return OSSC_OK;
}

static void close_device(device* d) { free(d); }

static ossc_status start(const device* d, int32_t threads, device_queue** queue_out) {
  *queue_out = calloc(1, sizeof(device_queue));
  if (*queue_out == NULL) return fail_out_of_memory("a session");
  **queue_out = (device_queue){d->api, threads};
  return OSSC_OK;
}

static ossc_status run(device_queue* q, const plan_segment* segment, step_range steps,
                       int32_t num_tokens, thread_ticks ticks) {
  (void)q, (void)segment, (void)steps, (void)num_tokens;
  if (ticks.first != NULL) ticks.first[1] = TICKS_UNTIL_THE_END;
  return OSSC_OK;
}

static ossc_status write_tensor(device_queue* q, uint32_t tensor, size_t at, const void* data,
                                size_t size) {
  (void)q, (void)tensor, (void)at, (void)data, (void)size;
  return OSSC_OK;
}

static ossc_status read_tensor(device_queue* q, uint32_t tensor, size_t at, void* data_out,
                               size_t size) {
  (void)q, (void)tensor, (void)at;
  memset(data_out, 0, size);
  return OSSC_OK;
}

static ossc_status copy(device_queue* q, uint32_t to, uint32_t from, size_t from_at, size_t size) {
  (void)q, (void)to, (void)from, (void)from_at, (void)size;
  return OSSC_OK;
}

static ossc_status fill(device_queue* q, uint8_t byte) {
  (void)q, (void)byte;
  return OSSC_OK;
}

static ossc_status finish(device_queue* q) {
  (void)q;
  return OSSC_OK;
}

static void release(device_queue* q) { free(q); }

/* There is none: whoever asks wants one that computes. */
static ossc_status list(ossc_device_info* devices_out, size_t capacity, size_t* count_out) {
  (void)devices_out, (void)capacity;
  *count_out = 0;
  return OSSC_OK;
}

const device_api null_device_api = {
    .kind = "null",
    .list = list,
    .open = open_device,
    .check = check,
    .close = close_device,
    .start = start,
    .run = run,
    .write = write_tensor,
    .read = read_tensor,
    .copy = copy,
    .fill = fill,
    .finish = finish,
    .release = release,
};
