#pragma once
// Plain POSIX: with more, sys/types.h brings in fd_set, which looks different in Glibc's module and in CLinux.
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <sys/types.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
