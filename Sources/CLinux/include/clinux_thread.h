#pragma once
// Threads and their mailboxes: what Glibc's module hides behind _GNU_SOURCE.

/// A non-blocking, close-on-exec eventfd, or -1 and errno.
int clinux_eventfd(void);
/// At most 15 bytes are kept.
void clinux_name_thread(const char *name);
/// malloc keeps what is freed, up to 64 MiB blocks, instead of mapping and unmapping it every time (mallopt(3)).
void clinux_keep_large_blocks(void);
