#pragma once
// Block and FUSE devices, loop, mount.
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

// Newer than Debian 12's linux/fuse.h; values are the kernel's ABI (7.39 to 7.41).
#define CLINUX_FUSE_NOTIFY_RESEND 7
// FUSE_HAS_RESEND is bit 39; the upper half of the flags is flags2.
#define CLINUX_FUSE_HAS_RESEND_FLAGS2 128u

int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int clinux_unmount(const char *target, int flags);
#define CLINUX_MS_NOSUID 2ul
#define CLINUX_MS_NODEV 4ul
#define CLINUX_MS_NOATIME 1024ul
#define CLINUX_MS_REC 16384ul
#define CLINUX_MS_PRIVATE 262144ul
#define CLINUX_MNT_FORCE 1
#define CLINUX_MNT_DETACH 2

/// fusectl's `abort` of the FUSE connection that is mounted on `path`, or -1 and errno. Whatever is written to it ends every
/// request of the connection, waiting and future. It outlives the connection and does not keep it.
int clinux_fuse_open_abort(const char *path);

int clinux_o_direct(void);
int clinux_loop_free_number(int control);
int clinux_loop_configure(int loop, const struct loop_config *config);
int clinux_loop_clear(int loop);
/// XFS_IOC_GOINGDOWN; `flags` 2 is NOLOGFLUSH.
int clinux_xfs_going_down(int descriptor, uint32_t flags);
/// XFS_IOC_FSGEOMETRY_V1: what is asked for when the file system is to grow.
int clinux_xfs_size(int descriptor, uint32_t *block_size, uint64_t *blocks, uint32_t *inode_percentage);
/// XFS_IOC_FSGROWFSDATA.
int clinux_xfs_grow(int descriptor, uint64_t blocks, uint32_t inode_percentage);
/// LOOP_SET_CAPACITY: takes the size from the file behind it anew.
int clinux_loop_set_capacity(int loop);
/// Has whoever serves the file tell its size, whatever was cached of it.
int clinux_refresh_size(int descriptor, uint64_t *byte_count);
/// Creates the block device node of a loop device where devtmpfs is not there to do it.
int clinux_make_loop_node(const char *path, int number);
/// PR_SET_IO_FLUSHER: memory reclaim on behalf of this process must not wait for the block device it serves.
int clinux_set_io_flusher(void);
int clinux_lock_memory(void);
int clinux_lock_touched_memory(void);
