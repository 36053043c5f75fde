#include "base/json.h"

/* Bytes of the sequence that begins with this one; 0 when none does. */
static size_t sequence_length(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

/* The second byte has a narrower range after four of the first bytes (Unicode, table 3-7). */
static bool second_is_valid(uint8_t first, uint8_t second) {
  switch (first) {
    case 0xe0:
      return second >= 0xa0; /* shorter forms exist below */
    case 0xed:
      return second < 0xa0; /* surrogates */
    case 0xf0:
      return second >= 0x90; /* shorter forms exist below */
    case 0xf4:
      return second < 0x90; /* above U+10FFFF */
    default:
      return true;
  }
}

bool utf8_is_valid(const char* data, size_t size) {
  const uint8_t* bytes = (const uint8_t*)data;
  for (size_t i = 0; i < size;) {
    size_t length = sequence_length(bytes[i]);
    if (length == 0 || length > size - i) return false;
    if (length > 1 && !second_is_valid(bytes[i], bytes[i + 1])) return false;
    for (size_t j = 1; j < length; ++j) {
      if ((bytes[i + j] & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}
