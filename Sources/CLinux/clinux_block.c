#define _GNU_SOURCE
#include "clinux_block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    return mount(source, target, type, flags, data);
}

int clinux_unmount(const char *target, int flags) { return umount2(target, flags); }

static void close_keeping_errno(int descriptor) {
    int error = errno;
    close(descriptor);
    errno = error;
}

// A mount of fusectl without a place: fusectl itself may be mounted nowhere. -1 and errno.
static int fusectl_mount(void) {
    int context = fsopen("fusectl", FSOPEN_CLOEXEC);
    if (context < 0) return -1;
    int mounted = -1;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) mounted = fsmount(context, FSMOUNT_CLOEXEC, 0);
    close_keeping_errno(context);
    return mounted;
}

int clinux_fuse_open_abort(const char *path) {
    struct statx status;
    // Not synchronised: nobody answers FUSE's requests yet.
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0) return -1;
    int folder = fusectl_mount();
    if (folder < 0) return -1;
    char name[32];
    // A connection's folder has the number of its device, whose major is 0.
    snprintf(name, sizeof name, "%u/abort", status.stx_dev_minor);
    int descriptor = openat(folder, name, O_WRONLY | O_CLOEXEC);
    close_keeping_errno(folder);
    return descriptor;
}

int clinux_o_direct(void) { return O_DIRECT; }

int clinux_loop_free_number(int control) { return ioctl(control, LOOP_CTL_GET_FREE); }

int clinux_loop_configure(int loop, const struct loop_config *config) { return ioctl(loop, LOOP_CONFIGURE, config); }

int clinux_loop_clear(int loop) { return ioctl(loop, LOOP_CLR_FD, 0); }

int clinux_xfs_going_down(int descriptor, uint32_t flags) {
    // xfs_fs.h comes with xfslibs-dev only; the number is ABI: XFS_IOC_GOINGDOWN.
    return ioctl(descriptor, _IOR('X', 125, uint32_t), &flags);
}

// These as well are ABI of the kernel's xfs_fs.h.
struct xfs_geometry_v1 {
    uint32_t block_size, realtime_extent_size, group_blocks, group_count, log_blocks, sector_size, inode_size, inode_percentage;
    uint64_t data_blocks, realtime_blocks, realtime_extents, log_start;
    uint8_t uuid[16];
    uint32_t stripe_unit, stripe_width;
    int32_t version;
    uint32_t flags, log_sector_size, realtime_sector_size, directory_block_size;
};
_Static_assert(sizeof(struct xfs_geometry_v1) == 112, "the ioctl's number has its size in it");

struct xfs_growth {
    uint64_t blocks;
    uint32_t inode_percentage;
};

int clinux_xfs_size(int descriptor, uint32_t *block_size, uint64_t *blocks, uint32_t *inode_percentage) {
    struct xfs_geometry_v1 geometry;
    if (ioctl(descriptor, _IOR('X', 100, struct xfs_geometry_v1), &geometry) != 0) return -1;
    *block_size = geometry.block_size;
    *blocks = geometry.data_blocks;
    *inode_percentage = geometry.inode_percentage;
    return 0;
}

int clinux_xfs_grow(int descriptor, uint64_t blocks, uint32_t inode_percentage) {
    struct xfs_growth growth = {.blocks = blocks, .inode_percentage = inode_percentage};
    return ioctl(descriptor, _IOW('X', 110, struct xfs_growth), &growth);
}

int clinux_loop_set_capacity(int loop) { return ioctl(loop, LOOP_SET_CAPACITY, 0); }

int clinux_refresh_size(int descriptor, uint64_t *byte_count) {
    struct statx status;
    if (statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &status) != 0) return -1;
    *byte_count = status.stx_size;
    return 0;
}

int clinux_make_loop_node(const char *path, int number) {
    return mknod(path, S_IFBLK | 0600, makedev(7 /* LOOP_MAJOR */, number));
}

int clinux_set_io_flusher(void) { return prctl(57 /* PR_SET_IO_FLUSHER */, 1, 0, 0, 0); }

int clinux_lock_memory(void) { return mlockall(MCL_CURRENT | MCL_FUTURE); }

int clinux_lock_touched_memory(void) { return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT); }
