/* Threads that split ranges of independent tasks.
 *
 * Each thread has neighbouring tasks of its own, which it does in pieces that shrink towards the
 * end, so that it reads memory in one stream; a thread that has done its tasks takes half of what
 * another one has left. So one that the system delays holds up the others by no more than the piece
 * it has. Idle threads spin for a moment, which is how long the next range is usually away, and
 * then sleep.
 */
#ifndef OSSC_THREAD_POOL_H_
#define OSSC_THREAD_POOL_H_

#include "device/threads.h"
#include "ossc.h"

typedef struct thread_pool thread_pool;

/* Does the tasks begin <= t < end; called on any thread of the pool, several at a time. */
typedef ossc_status (*thread_pool_range)(const void* context, int32_t begin, int32_t end);

/* threads: including the one that calls thread_pool_run. */
ossc_status thread_pool_create(int32_t threads, thread_pool** pool_out);

int32_t thread_pool_threads(const thread_pool* pool);

/* Does num_tasks tasks and returns when all are done; not to be called from two threads at a time.
 * After the first failure no further piece is claimed, and its status and message are returned.
 *   ticks  where the threads leave when they worked; first is NULL when that is not wanted */
ossc_status thread_pool_run(thread_pool* pool, thread_pool_range range, const void* context,
                            int32_t num_tasks, thread_ticks ticks);

void thread_pool_destroy(thread_pool* pool);

#endif /* OSSC_THREAD_POOL_H_ */
