#pragma once
// Event loops: epoll, eventfd, and the socket calls that need _GNU_SOURCE.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// The user at the other end of a Unix socket (SO_PEERCRED, unix(7)). Returns 0, or -errno.
int clinux_peer_user(int connection, uid_t *user);

// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC. Returns the descriptor, or -errno.
int clinux_accept(int listener, struct sockaddr_storage *address);
// epoll_ctl. Returns 0 or -errno.
int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);
// epoll_wait into parallel arrays of at most `count` (64) entries. Returns how many, or -errno.
int clinux_epoll_wait(int epoll, uint32_t *events, uint64_t *data, int count, int timeout_milliseconds);
// syncfs. Returns 0 or -errno.
int clinux_sync_filesystem(int descriptor);
