#pragma once
// First in every header here. _GNU_SOURCE changes the name of fd_set's field; Swift's Glibc module is built without it, and a
// program that imports both would not compile. So select.h is read as Glibc's module reads it.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")
