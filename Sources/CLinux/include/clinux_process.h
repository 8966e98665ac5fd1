#pragma once
// Processes, namespaces, signals, scheduling, watchdog.
