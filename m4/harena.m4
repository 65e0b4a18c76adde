dnl SPDX-License-Identifier: BSD-2-Clause
dnl The project's own configure checks: they keep configure.ac an outline.

# HARENA_REFUSE(SENTENCE)
# The machine is not one that Harena runs on.
AC_DEFUN([HARENA_REFUSE], [AC_MSG_ERROR([Harena supports 64-bit Linux only: $1])])

# HARENA_REFUSE_OTHER_SYSTEMS
# Before a compiler is looked for: one that is told to make 32-bit code often cannot link any, which
# AC_PROG_CC would report in a way that says nothing of Harena. Its preprocessor tells.
AC_DEFUN([HARENA_REFUSE_OTHER_SYSTEMS],
  [AC_REQUIRE([AC_CANONICAL_HOST])
   AS_CASE([$host_os], [linux*], [], [HARENA_REFUSE([this is $host_os])])
   AS_CASE([`echo harena __LP64__ | ${CC-cc} $CPPFLAGS $CFLAGS -E - 2>/dev/null`],
     [*"harena __LP64__"*], [HARENA_REFUSE([${CC-cc} $CFLAGS makes 32-bit code])])])

# HARENA_REFUSE_32_BITS
# Once more, by the compiler that was found.
AC_DEFUN([HARENA_REFUSE_32_BITS],
  [AC_CHECK_SIZEOF([void *])
   AS_IF([test "$ac_cv_sizeof_void_p" -ne 8], [HARENA_REFUSE([$CC $CFLAGS makes 32-bit code])])])

# HARENA_CHECK_CXX
# Whether there is a C++ compiler: for tests and a benchmark, not for the library.
AC_DEFUN([HARENA_CHECK_CXX],
  [AC_LANG_PUSH([C++])
   AC_CACHE_CHECK([whether $CXX makes C++ programs], [harena_cv_cxx],
     [AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <vector>]], [[std::vector<int> v; return !v.empty();]])],
        [harena_cv_cxx=yes], [harena_cv_cxx=no])])
   AC_LANG_POP([C++])
   have_cxx=$harena_cv_cxx
   AM_CONDITIONAL([HAVE_CXX], [test $have_cxx = yes])])

# HARENA_YES_OR_NO(OPTION)
# For what --enable-OPTION and --disable-OPTION say.
AC_DEFUN([HARENA_YES_OR_NO],
  [AS_CASE([$enable_$1], [yes | no], [],
     [AC_MSG_ERROR([--enable-$1 is yes or no, not '$enable_$1'])])])

# HARENA_NEED_MODULE(VARIABLE, PKG-CONFIG MODULE, DEBIAN PACKAGE, WHAT FOR)
# Sets VARIABLE_CFLAGS and VARIABLE_LIBS, or stops and names the package.
AC_DEFUN([HARENA_NEED_MODULE],
  [PKG_CHECK_MODULES([$1], [$2], [],
     [AS_IF([test -z "$PKG_CONFIG"], [AC_MSG_ERROR([pkg-config was not found. On Debian: apt-get install pkg-config])])
      AC_MSG_ERROR([$2 was not found, which $4 needs. On Debian: apt-get install $3])])])

# HARENA_WANT_MODULE(VARIABLE, PKG-CONFIG MODULE, DEBIAN PACKAGE)
# The same for what is optional: sets have_VARIABLE to yes or "no (package)".
AC_DEFUN([HARENA_WANT_MODULE],
  [PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1="no (apt-get install $3)"])])

# HARENA_CHECK_CK
# ConcurrencyKit is used through its headers alone: its stack, with a 16-byte compare-and-swap.
AC_DEFUN([HARENA_CHECK_CK],
  [HARENA_NEED_MODULE([CK], [ck], [libck-dev], [the library])
   AC_CACHE_CHECK([for ConcurrencyKit's multi-producer stack], [harena_cv_ck_stack],
     [harena_save_CPPFLAGS=$CPPFLAGS
      CPPFLAGS="$CPPFLAGS $CK_CFLAGS"
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM(
        [[#include <ck_stack.h>
          static ck_stack_t stack;
          static ck_stack_entry_t entry;]],
        [[ck_stack_push_mpmc(&stack, &entry);
          return ck_stack_pop_mpmc(&stack) != &entry;]])],
        [harena_cv_ck_stack=yes], [harena_cv_ck_stack=no])
      CPPFLAGS=$harena_save_CPPFLAGS])
   AS_IF([test "x$harena_cv_ck_stack" != xyes],
     [AC_MSG_ERROR([this machine's ck_stack.h has no ck_stack_pop_mpmc, which needs a compare-and-swap of 16 bytes])])])

# HARENA_ARG_WERROR
AC_DEFUN([HARENA_ARG_WERROR],
  [AC_ARG_ENABLE([werror],
     [AS_HELP_STRING([--enable-werror], [turn warnings into errors (default: no)])],
     [HARENA_YES_OR_NO([werror])], [enable_werror=no])
   AS_IF([test "x$enable_werror" = xyes], [WERROR_CFLAGS=-Werror], [WERROR_CFLAGS=])
   AC_SUBST([WERROR_CFLAGS])])

# HARENA_ARG_SANITIZER
# Sets SANITIZER_CFLAGS, which compile and link everything, and a conditional per sanitizer.
AC_DEFUN([HARENA_ARG_SANITIZER],
  [AC_ARG_ENABLE([sanitizer],
     [AS_HELP_STRING([--enable-sanitizer=LIST],
        [build all with address, undefined (or both, with a comma) or thread (default: no)])],
     [], [enable_sanitizer=no])
   AS_CASE([,$enable_sanitizer,],
     [*,,* | *@<:@@<:@:space:@:>@@:>@*], [AC_MSG_ERROR([--enable-sanitizer is a list with commas, not '$enable_sanitizer'])],
     [*,thread,*,* | *,*,thread,*], [AC_MSG_ERROR([--enable-sanitizer=thread goes with no other])])
   SANITIZER_CFLAGS=
   harena_asan=no harena_tsan=no harena_ubsan=no
   AS_IF([test "x$enable_sanitizer" != xno],
     [for harena_sanitizer in `AS_ECHO(["$enable_sanitizer"]) | tr , ' '`; do
        AS_CASE([$harena_sanitizer],
          [address], [harena_asan=yes],
          [undefined], [harena_ubsan=yes],
          [thread], [harena_tsan=yes],
          [AC_MSG_ERROR([--enable-sanitizer knows address, undefined and thread, not '$harena_sanitizer'])])
      done
      SANITIZER_CFLAGS="-fsanitize=$enable_sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer"
      AS_CASE([$harena_tsan], [yes], [SANITIZER_CFLAGS="$SANITIZER_CFLAGS $CX16_CFLAGS"])
      AX_CHECK_LINK_FLAG([$SANITIZER_CFLAGS], [],
        [AC_MSG_ERROR([$CC cannot link with -fsanitize=$enable_sanitizer. On Debian, for clang: apt-get install libclang-rt-14-dev])])])
   AM_CONDITIONAL([ASAN], [test $harena_asan = yes])
   AM_CONDITIONAL([TSAN], [test $harena_tsan = yes])
   AM_CONDITIONAL([UBSAN], [test $harena_ubsan = yes])
   AC_SUBST([SANITIZER_CFLAGS])])

# HARENA_ARG_USDT
# Static probes need a header at build time and nothing at run time. Sets USDT_CPPFLAGS.
AC_DEFUN([HARENA_ARG_USDT],
  [AC_ARG_ENABLE([usdt],
     [AS_HELP_STRING([--enable-usdt],
        [static probes for bpftrace and SystemTap; stop if <sys/sdt.h> is missing; --disable-usdt: none (default: if found)])],
     [HARENA_YES_OR_NO([usdt])], [enable_usdt=auto])
   AS_IF([test "x$enable_usdt" != xno], [AC_CHECK_HEADER([sys/sdt.h])])
   USDT_CPPFLAGS=
   AS_CASE([$enable_usdt/$ac_cv_header_sys_sdt_h],
     [no/*], [report_usdt="no (--disable-usdt)"],
     [*/yes], [report_usdt=yes USDT_CPPFLAGS=-DHARENA_USDT],
     [yes/*], [AC_MSG_ERROR([sys/sdt.h was not found, which --enable-usdt needs. On Debian: apt-get install systemtap-sdt-dev])],
     [report_usdt="no (apt-get install systemtap-sdt-dev)"])
   AC_SUBST([USDT_CPPFLAGS])])

# HARENA_WARNINGS
# WARN_CFLAGS for every program, LIB_WARN_CFLAGS for what the library adds to it.
AC_DEFUN([HARENA_WARNINGS],
  [AX_APPEND_COMPILE_FLAGS([ \
     -Wall -Wextra -Wshadow -Wundef -Wvla -Wwrite-strings -Wpointer-arith -Wformat=2 \
     -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
     -Wnested-externs -Wredundant-decls -Wlogical-op -Wduplicated-cond -Wduplicated-branches],
     [WARN_CFLAGS], [-Werror])
   AX_APPEND_COMPILE_FLAGS([-Wconversion -Wno-sign-conversion], [LIB_WARN_CFLAGS], [-Werror])
   AC_SUBST([WARN_CFLAGS])
   AC_SUBST([LIB_WARN_CFLAGS])])

# HARENA_LIBRARY_FLAGS
# What keeps the library's surface small (hidden names, a version script; nobody replaces one of its
# functions by his own, so that it may inline them) and whole (no undefined names, never unloaded: a
# callback of RCU's worker may still be running in it).
AC_DEFUN([HARENA_LIBRARY_FLAGS],
  [AX_APPEND_COMPILE_FLAGS([-fvisibility=hidden -fno-semantic-interposition], [HIDDEN_CFLAGS], [-Werror])
   AX_APPEND_LINK_FLAGS([-Wl,-z,nodelete], [LIB_LDFLAGS])
   dnl A sanitizer's run-time library comes with the program: its names are undefined here.
   AS_IF([test "x$enable_sanitizer" = xno], [AX_APPEND_LINK_FLAGS([-Wl,-z,defs], [LIB_LDFLAGS])])
   AX_CHECK_LINK_FLAG([-Wl,--version-script=$srcdir/src/harena.map],
     [have_version_script=yes], [have_version_script=no])
   AM_CONDITIONAL([VERSION_SCRIPT], [test "x$have_version_script" = xyes])
   AC_SUBST([HIDDEN_CFLAGS])
   AC_SUBST([LIB_LDFLAGS])])
