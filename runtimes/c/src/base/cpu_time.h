#ifndef OSSC_CPU_TIME_H_
#define OSSC_CPU_TIME_H_

/* Of all threads of this process that are alive, since they began. */
typedef struct cpu_time {
  double ran_s;
  double waited_s; /* for a CPU that another thread had */
} cpu_time;

/* Zeros where the system does not say. */
cpu_time cpu_time_of_process(void);

#endif /* OSSC_CPU_TIME_H_ */
