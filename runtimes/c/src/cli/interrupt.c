#define _XOPEN_SOURCE 700 /* sigaction, SA_RESETHAND */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t came;

static void notice(int number) {
  (void)number;
  came = 1;
}

void interrupt_notice(void) {
  struct sigaction action = {.sa_handler = notice, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  struct sigaction previous;
  if (sigaction(SIGINT, NULL, &previous) != 0 || previous.sa_handler == SIG_IGN) return;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

bool interrupt_came(void) { return came != 0; }
