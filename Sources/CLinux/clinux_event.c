#define _GNU_SOURCE
#include "clinux_event.h"
#include <errno.h>

int clinux_accept(int listener, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    int descriptor = accept4(listener, (struct sockaddr *)address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int clinux_epoll_wait(int epoll, uint32_t *events, uint64_t *data, int count, int timeout_milliseconds) {
    struct epoll_event ready[64];
    int found = epoll_wait(epoll, ready, count < 64 ? count : 64, timeout_milliseconds);
    if (found < 0) return -errno;
    for (int index = 0; index < found; index++) {
        events[index] = ready[index].events;
        data[index] = ready[index].data.u64;
    }
    return found;
}

int clinux_sync_filesystem(int descriptor) { return syncfs(descriptor) < 0 ? -errno : 0; }

int clinux_peer_user(int connection, uid_t *user) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -errno;
    *user = peer.uid;
    return 0;
}
