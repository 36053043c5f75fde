/* test_cpu_quota ROOT: prints what the control groups of a made-up system let a process use. */
#include "check.h"
#include "base/cpu_quota.h"

int main(int argc, char** argv) {
  CHECK(argc == 2);
  printf("%d\n", (int)cpu_quota(argv[1]));
  return 0;
}
