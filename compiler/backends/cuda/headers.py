"""What TVM's CUDA includes of NVIDIA's headers, as far as its text names it.

The headers themselves are further packages, and take NVRTC seconds to read.
"""

_CSTDINT = """\
#pragma once
namespace cuda { namespace std {
using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
} }
"""

_TYPE_TRAITS = """\
#pragma once
namespace cuda { namespace std {
template <class A, class B> struct is_same { static constexpr bool value = false; };
template <class A> struct is_same<A, A> { static constexpr bool value = true; };
template <class A, class B> inline constexpr bool is_same_v = is_same<A, B>::value;
template <bool, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { using type = T; };
template <bool, class A, class B> struct conditional { using type = A; };
template <class A, class B> struct conditional<false, A, B> { using type = B; };
template <class T> struct is_integral;
template <class T> struct is_signed;
template <class T> struct is_unsigned;
template <class T> struct is_floating_point;
} }
"""

_MATH_CONSTANTS = """\
#pragma once
#define CUDART_INF_F __int_as_float(0x7f800000)
#define CUDART_NAN_F __int_as_float(0x7fffffff)
"""

HEADERS = {
    "cuda/std/cstdint": _CSTDINT,
    "cuda/std/type_traits": _TYPE_TRAITS,
    "math_constants.h": _MATH_CONSTANTS,
}
"""The text of a header, by the name under which it is included."""
