#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

enum { maximum_mappings = 32, parking_descriptor = 512 };

// Runs between vfork and exec on the parent's memory: system calls only.
static int child_setup(const struct clinux_descriptor_mapping *mappings, int count, int death_signal, pid_t parent) {
    int parked[maximum_mappings];
    for (int signal = 1; signal < 65; signal++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(signal, &action, NULL);
    }
    if (death_signal != 0) {
        if (prctl(PR_SET_PDEATHSIG, death_signal) != 0) return errno;
        if (getppid() != parent) return ESRCH;
    }
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return errno;
    // Parked first, so that a target may be another mapping's source.
    for (int i = 0; i < count; i++) {
        parked[i] = fcntl(mappings[i].source, F_DUPFD_CLOEXEC, parking_descriptor);
        if (parked[i] < 0) return errno;
    }
    for (int i = 0; i < count; i++)
        if (dup2(parked[i], mappings[i].target) < 0) return errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}

int clinux_spawn(const char *path, char *const argv[], char *const envp[],
                 const struct clinux_descriptor_mapping *mappings, int mapping_count, int death_signal, pid_t *pid,
                 int *pidfd) {
    if (mapping_count > maximum_mappings) return E2BIG;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    volatile int failure = 0;
    const pid_t parent = getpid();
    const pid_t child = vfork();
    if (child == 0) {
        failure = child_setup(mappings, mapping_count, death_signal, parent);
        if (failure == 0) {
            execve(path, argv, envp);
            failure = errno;
        }
        _exit(127);
    }
    const int vfork_error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) return vfork_error;
    if (failure != 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
        return failure;
    }
    *pid = child;
    *pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (*pidfd < 0) {
        const int error = errno;
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
        return error;
    }
    return 0;
}

int clinux_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int clinux_wait_pidfd(int pidfd, int *code, int *status) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0) return -1;
    if (info.si_pid == 0) return 0;
    *code = info.si_code;
    *status = info.si_status;
    return 1;
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_socketpair_seqpacket(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

int clinux_unshare_descriptors_and_mounts(void) { return unshare(CLONE_FILES | CLONE_FS | CLONE_NEWNS); }

int clinux_close_from(unsigned first) { return (int)syscall(SYS_close_range, first, ~0u, 0); }

long clinux_send_packet(int socket, const void *data, size_t size, int descriptor) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {(void *)data, size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    }
    long count;
    do count = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count;
}

long clinux_receive_packet(int socket, void *data, size_t capacity, int *descriptor) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {data, capacity};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor = -1;
    long count;
    do count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    struct cmsghdr *header = count < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return count;
}

int clinux_unshare_mount_namespace(void) { return unshare(CLONE_NEWNS); }

int clinux_watchdog_set_timeout(int watchdog, int seconds) { return ioctl(watchdog, WDIOC_SETTIMEOUT, &seconds); }
