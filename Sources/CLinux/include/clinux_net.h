#pragma once
// Sockets, epoll, netlink, packet sockets, ARP.
#include "clinux_features.h"

