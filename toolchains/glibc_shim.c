/* SPDX-License-Identifier: Apache-2.0
 *
 * Debian's libmnl.a was compiled against glibc. What it wants beyond musl is two functions, both of mnl_nlmsg_fprintf() alone,
 * a debugging aid that nothing of ours calls. Honest versions would bring musl's printf along, 11 KiB for nothing, so a call
 * stops the program.
 */
int __fprintf_chk(void *stream, int flag, const char *format, ...) {
  (void)stream, (void)flag, (void)format;
  __builtin_trap();
}

const unsigned short **__ctype_b_loc(void) { __builtin_trap(); }
