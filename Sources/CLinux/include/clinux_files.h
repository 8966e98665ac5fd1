#pragma once
// Files and file systems: openat2, statx, file handles, xattrs, reflinks, inotify.
