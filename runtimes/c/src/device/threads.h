/* The threads of a session, as every device knows them. */
#ifndef OSSC_THREADS_H_
#define OSSC_THREADS_H_

#include <stddef.h>
#include <stdint.h>

#define MAX_THREADS 1024

/* When each thread worked, by ticks_now(). Thread t has two numbers at first + t * stride: before
 * its first task, which the caller leaves out because its work begins with the call, and after its
 * last one, or TICKS_UNTIL_THE_END when the caller did it all. Without a task it leaves them as
 * they are. Threads have lines of cache of their own when stride is long. */
typedef struct thread_ticks {
  int64_t* first; /* NULL: not wanted */
  size_t stride;
} thread_ticks;

#define TICKS_UNTIL_THE_END (-1)

#endif /* OSSC_THREADS_H_ */
