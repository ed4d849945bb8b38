// SPDX-License-Identifier: Apache-2.0
//
// Some headers include this for little more than a type; locales themselves are not for this program.
#ifndef _GLIBCXX_CXX_LOCALE_H
#define _GLIBCXX_CXX_LOCALE_H 1
#define _GLIBCXX_NUM_CATEGORIES 0
#include <clocale>
namespace std {
typedef locale_t __c_locale;
}
#endif
