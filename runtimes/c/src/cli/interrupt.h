/* SIGINT during a generation: what came so far is kept. */
#ifndef OSSC_INTERRUPT_H_
#define OSSC_INTERRUPT_H_

#include <stdbool.h>

/* From now on the first SIGINT is only noticed; a second one ends the process. Where SIGINT is
 * ignored it stays so. */
void interrupt_notice(void);

bool interrupt_came(void);

#endif /* OSSC_INTERRUPT_H_ */
