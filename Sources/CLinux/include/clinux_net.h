#pragma once
// Sockets, epoll, netlink, packet sockets, ARP.
