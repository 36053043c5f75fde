#define _GNU_SOURCE /* MAP_ANONYMOUS, sigaction */
#include "device/host/watched_pages.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

/* An entry of a list that only grows, so that the signal handler can walk it at any time; one that
 * is not used has end 0. */
struct watched_pages {
  _Atomic uintptr_t begin, end;
  _Atomic bool cut;
  watched_pages* next;
};

static _Atomic(watched_pages*) first_entry;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of who adds and removes */
static struct sigaction previous;
static uintptr_t page_bytes; /* 0 until the handler is installed */

static watched_pages* find(uintptr_t address) {
  watched_pages* entry = atomic_load(&first_entry);
  while (entry != NULL &&
         (address < atomic_load(&entry->begin) || address >= atomic_load(&entry->end))) {
    entry = entry->next;
  }
  return entry;
}

/* Puts zeros from the page of the address on: behind the end of a file nothing comes any more. */
static bool put_zeros(watched_pages* entry, uintptr_t address) {
  int previous_errno = errno;
  uintptr_t page = address - address % page_bytes;
  void* zeros = mmap((void*)page, atomic_load(&entry->end) - page, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  errno = previous_errno;
  if (zeros == MAP_FAILED) return false;
  atomic_store(&entry->cut, true);
  return true;
}

/* A fault comes again on return, and then ends the process; a signal that came is sent again. */
static void default_action(bool was_sent) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(SIGBUS, &action, NULL);
  if (was_sent) raise(SIGBUS);
}

static void pass_on(int signal_number, siginfo_t* info, void* context) {
  bool was_sent = info->si_code <= 0;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal_number, info, context);
  } else if (previous.sa_handler == SIG_DFL || (previous.sa_handler == SIG_IGN && !was_sent)) {
    default_action(was_sent);
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
  }
}

static void handle_fault(int signal_number, siginfo_t* info, void* context) {
  uintptr_t address = (uintptr_t)info->si_addr;
  watched_pages* entry = info->si_code > 0 ? find(address) : NULL;
  if (entry == NULL || !put_zeros(entry, address)) pass_on(signal_number, info, context);
}

/* Once and for good: a handler that was installed since may pass faults on to this one. */
static void install_handler(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
  action.sa_sigaction = handle_fault;
  sigemptyset(&action.sa_mask);
  page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  sigaction(SIGBUS, NULL, &previous); /* before it can be asked for */
  sigaction(SIGBUS, &action, NULL);
}

static watched_pages* unused_entry(void) {
  watched_pages* entry = atomic_load(&first_entry);
  while (entry != NULL && atomic_load(&entry->end) != 0) entry = entry->next;
  if (entry != NULL) return entry;
  entry = calloc(1, sizeof(watched_pages));
  if (entry == NULL) return NULL;
  entry->next = atomic_load(&first_entry);
  atomic_store(&first_entry, entry);
  return entry;
}

ossc_status watched_pages_add(void* pages, size_t size_bytes, watched_pages** watched_out) {
  pthread_mutex_lock(&mutex);
  if (page_bytes == 0) install_handler();
  watched_pages* entry = unused_entry();
  if (entry != NULL) {
    atomic_store(&entry->cut, false);
    atomic_store(&entry->begin, (uintptr_t)pages);
    atomic_store(&entry->end, (uintptr_t)pages + size_bytes);
  }
  pthread_mutex_unlock(&mutex);
  if (entry == NULL) return fail_out_of_memory("the weights");
  *watched_out = entry;
  return OSSC_OK;
}

bool watched_pages_are_cut(const watched_pages* watched) { return atomic_load(&watched->cut); }

void watched_pages_remove(watched_pages* watched) {
  if (watched != NULL) atomic_store(&watched->end, 0);
}
