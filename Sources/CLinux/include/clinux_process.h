#pragma once
// Processes, namespaces, signals, scheduling, watchdog.
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct clinux_descriptor_mapping {
    int source;
    int target;
};

/// vfork + exec. Every descriptor but 0-2 and the mapped targets is closed in the child; signals are reset; `death_signal`
/// (0: none) reaches the child when the calling THREAD ends. Returns 0, or an errno (of exec too); `pidfd` gets a pidfd.
int clinux_spawn(const char *path, char *const argv[], char *const envp[],
                 const struct clinux_descriptor_mapping *mappings, int mapping_count, int death_signal, pid_t *pid,
                 int *pidfd);
int clinux_pidfd_send_signal(int pidfd, int signal);
/// waitid(P_PIDFD, WEXITED | WNOHANG): 1 when it has ended (code: CLD_EXITED, CLD_KILLED, CLD_DUMPED), 0 when it runs, -1 on error.
int clinux_wait_pidfd(int pidfd, int *code, int *status);
/// pipe2 with O_CLOEXEC: ends[0] reads, ends[1] writes.
int clinux_pipe(int ends[2]);
/// An AF_UNIX SEQPACKET pair, close-on-exec.
int clinux_socketpair_seqpacket(int ends[2]);
int clinux_unshare_mount_namespace(void);
/// For the calling thread alone: descriptors and mounts of its own. Returns 0 or -1.
int clinux_unshare_descriptors_and_mounts(void);
/// Closes `first` and everything above it.
int clinux_close_from(unsigned first);
/// One packet over a SEQPACKET socket, with a descriptor (or -1: none). Returns the byte count or -1.
long clinux_send_packet(int socket, const void *data, size_t size, int descriptor);
/// 0: the other end is closed. `descriptor` becomes -1 when none came.
long clinux_receive_packet(int socket, void *data, size_t capacity, int *descriptor);

int clinux_watchdog_set_timeout(int watchdog, int seconds);
