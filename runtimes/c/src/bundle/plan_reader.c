#include "bundle/plan_reader.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"

#define MAX_NAME_BYTES 255

ossc_status plan_fault(const char* fault) {
  return fail(OSSC_ERROR_BUNDLE, "The execution plan is not valid: %s; compile the model again.",
              fault);
}

static uint64_t read_unsigned(plan_reader* r, size_t bytes) {
  if (r->size - r->offset < bytes) {
    r->cut = true;
    r->offset = r->size;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= (uint64_t)r->data[r->offset++] << (8 * i);
  return value;
}

uint8_t plan_read_u8(plan_reader* r) { return (uint8_t)read_unsigned(r, 1); }
uint32_t plan_read_u32(plan_reader* r) { return (uint32_t)read_unsigned(r, 4); }
uint64_t plan_read_u64(plan_reader* r) { return read_unsigned(r, 8); }

uint32_t plan_read_count(plan_reader* r, size_t min_bytes) {
  uint32_t count = plan_read_u32(r);
  if (count <= (r->size - r->offset) / min_bytes) return count;
  r->cut = true;
  return 0;
}

ossc_status plan_read_check(const plan_reader* r) {
  return r->cut ? plan_fault("it is cut") : OSSC_OK;
}

static bool is_printable(const char* text, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) return false;
  }
  return utf8_is_valid(text, length);
}

ossc_status plan_read_name(plan_reader* r, const char** name_out) {
  size_t length = (size_t)read_unsigned(r, 2);
  if (length > MAX_NAME_BYTES) return plan_fault("a name is too long");
  if (r->cut || r->size - r->offset < length) return plan_fault("it is cut");
  *name_out = r->names;
  memcpy(r->names, r->data + r->offset, length);
  r->names[length] = '\0';
  r->names += length + 1;
  r->offset += length;
  return is_printable(*name_out, length) ? OSSC_OK : plan_fault("a name cannot be printed");
}

static bool is_symbol(const char* name) {
  const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return name[0] != '\0' && strspn(name, letters) == strlen(name) &&
         (name[0] < '0' || name[0] > '9');
}

ossc_status plan_read_symbol(plan_reader* r, const char** name_out) {
  ossc_status status = plan_read_name(r, name_out);
  if (status != OSSC_OK || is_symbol(*name_out)) return status;
  return plan_fault("a kernel does not have the name of a function");
}
