/* Pages of mapped files that may be cut meanwhile.
 *
 * Reading a page that its file no longer has ends a process with SIGBUS. For watched pages, zeros
 * take the place of what is missing, and who uses them asks afterwards whether that happened. Other
 * faults go to whoever handled SIGBUS before.
 */
#ifndef OSSC_WATCHED_PAGES_H_
#define OSSC_WATCHED_PAGES_H_

#include "ossc.h"

typedef struct watched_pages watched_pages;

/* Begins to watch a mapping, which is page-aligned. */
ossc_status watched_pages_add(void* pages, size_t size_bytes, watched_pages** watched_out);

/* Whether a page was missing since. */
bool watched_pages_are_cut(const watched_pages* watched);

/* Before the mapping goes. NULL is allowed. */
void watched_pages_remove(watched_pages* watched);

#endif /* OSSC_WATCHED_PAGES_H_ */
