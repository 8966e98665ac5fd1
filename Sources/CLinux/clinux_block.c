#define _GNU_SOURCE
#include "clinux_block.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    return mount(source, target, type, flags, data);
}

int clinux_unmount(const char *target, int flags) { return umount2(target, flags); }

int clinux_o_direct(void) { return O_DIRECT; }

int clinux_loop_free_number(int control) { return ioctl(control, LOOP_CTL_GET_FREE); }

int clinux_loop_configure(int loop, const struct loop_config *config) { return ioctl(loop, LOOP_CONFIGURE, config); }

int clinux_loop_clear(int loop) { return ioctl(loop, LOOP_CLR_FD, 0); }

int clinux_xfs_going_down(int descriptor, uint32_t flags) {
    // xfs_fs.h comes with xfslibs-dev only; the number is ABI: XFS_IOC_GOINGDOWN.
    return ioctl(descriptor, _IOR('X', 125, uint32_t), &flags);
}

int clinux_make_loop_node(const char *path, int number) {
    return mknod(path, S_IFBLK | 0600, makedev(7 /* LOOP_MAJOR */, number));
}

int clinux_set_io_flusher(void) { return prctl(57 /* PR_SET_IO_FLUSHER */, 1, 0, 0, 0); }

int clinux_lock_memory(void) { return mlockall(MCL_CURRENT | MCL_FUTURE); }
