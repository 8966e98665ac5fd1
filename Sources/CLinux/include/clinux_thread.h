#pragma once
// Threads and their mailboxes: what Glibc's module hides behind _GNU_SOURCE.

/// A non-blocking, close-on-exec eventfd, or -1 and errno.
int clinux_eventfd(void);
/// At most 15 bytes are kept.
void clinux_name_thread(const char *name);
