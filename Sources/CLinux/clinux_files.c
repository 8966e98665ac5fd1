#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "clinux_files.h"

_Static_assert(MAX_HANDLE_SZ == 128, "clinux_handle holds every handle");

#define CLINUX_RESULT(call)                          \
    ({                                               \
        long clinux_result_ = (long)(call);          \
        clinux_result_ < 0 ? -(long)errno : clinux_result_; \
    })

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif

const int clinux_o_path = O_PATH;
const int clinux_o_tmpfile = O_TMPFILE;
const uint32_t clinux_st_nosuid = ST_NOSUID;
const uint32_t clinux_utime_omit = UTIME_OMIT;
const uint32_t clinux_utime_now = UTIME_NOW;
const int clinux_rwf_nowait = RWF_NOWAIT;
const int clinux_rwf_dsync = RWF_DSYNC;
const int clinux_seek_data = SEEK_DATA;
const int clinux_seek_hole = SEEK_HOLE;

// FS_IOC_GETFSUUID is Linux 6.9's; older headers lack it.
struct clinux_fsuuid2 {
    uint8_t length;
    uint8_t uuid[16];
};

// XFS_IOC_FSGEOMETRY_V1 (fs/xfs/libxfs/xfs_fs.h): the UUID on kernels before 6.9.
struct clinux_xfs_geometry_v1 {
    uint32_t blocksize, rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct;
    uint64_t datablocks, rtblocks, rtextents, logstart;
    unsigned char uuid[16];
    uint32_t sunit, swidth;
    int32_t version;
    uint32_t flags, logsectsize, rtsectsize, dirblocksize;
};

long clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return CLINUX_RESULT(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

long clinux_open(const char *path, int flags) { return CLINUX_RESULT(open(path, flags)); }

long clinux_openat(int directory, const char *path, int flags, uint32_t mode) {
    return CLINUX_RESULT(openat(directory, path, flags, mode));
}

long clinux_reopen(int descriptor, int flags) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(open(path, flags));
}

long clinux_descriptor_path(int descriptor, char *buffer, size_t capacity) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(readlink(path, buffer, capacity));
}

long clinux_readlinkat(int directory, const char *path, char *buffer, size_t capacity) {
    return CLINUX_RESULT(readlinkat(directory, path, buffer, capacity));
}

long clinux_close(int descriptor) { return CLINUX_RESULT(close(descriptor)); }

long clinux_dup(int descriptor) { return CLINUX_RESULT(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)); }

long clinux_lock(int descriptor) { return CLINUX_RESULT(flock(descriptor, LOCK_EX | LOCK_NB)); }

long clinux_unlock(int descriptor) { return CLINUX_RESULT(flock(descriptor, LOCK_UN)); }

long clinux_mkdirat(int directory, const char *path, uint32_t mode) {
    return CLINUX_RESULT(mkdirat(directory, path, mode));
}

long clinux_unlinkat(int directory, const char *path, int flags) {
    return CLINUX_RESULT(unlinkat(directory, path, flags));
}

long clinux_renameat2(int from, const char *old, int to, const char *new_, unsigned flags) {
    return CLINUX_RESULT(syscall(SYS_renameat2, from, old, to, new_, flags));
}

long clinux_link_descriptor(int descriptor, int to, const char *name) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(linkat(AT_FDCWD, path, to, name, AT_SYMLINK_FOLLOW));
}

long clinux_symlinkat(const char *target, int directory, const char *name) {
    return CLINUX_RESULT(symlinkat(target, directory, name));
}

long clinux_statx(int directory, const char *path, int flags, clinux_stat *out) {
    struct statx s;
    long result = CLINUX_RESULT(statx(directory, path, flags, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &s));
    if (result < 0) return result;
    out->inode = s.stx_ino;
    out->size = s.stx_size;
    out->blocks = s.stx_blocks;
    out->mount = s.stx_mnt_id;
    out->atime = (clinux_time){s.stx_atime.tv_sec, s.stx_atime.tv_nsec};
    out->btime = (clinux_time){s.stx_btime.tv_sec, s.stx_btime.tv_nsec};
    out->ctime = (clinux_time){s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec};
    out->mtime = (clinux_time){s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec};
    out->mode = s.stx_mode;
    out->links = s.stx_nlink;
    out->uid = s.stx_uid;
    out->gid = s.stx_gid;
    out->device_major = s.stx_dev_major;
    out->device_minor = s.stx_dev_minor;
    out->has_birth_time = (s.stx_mask & STATX_BTIME) != 0;
    return 0;
}

long clinux_stat_descriptor(int descriptor, clinux_stat *out) {
    return clinux_statx(descriptor, "", AT_EMPTY_PATH, out);
}

long clinux_set_times(int descriptor, clinux_time access, clinux_time modification) {
    struct timespec times[2] = {{access.seconds, access.nanoseconds}, {modification.seconds, modification.nanoseconds}};
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(utimensat(AT_FDCWD, path, times, 0));
}

long clinux_set_entry_times(int directory, const char *entry, clinux_time access, clinux_time modification) {
    struct timespec times[2] = {{access.seconds, access.nanoseconds}, {modification.seconds, modification.nanoseconds}};
    return CLINUX_RESULT(utimensat(directory, entry, times, AT_SYMLINK_NOFOLLOW));
}

long clinux_chmod(int descriptor, uint32_t mode) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(chmod(path, mode));
}

long clinux_chown(int descriptor, uint32_t uid, uint32_t gid) {
    return CLINUX_RESULT(fchownat(descriptor, "", uid, gid, AT_EMPTY_PATH));
}

long clinux_getxattr(int descriptor, const char *name, void *value, size_t size) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(getxattr(path, name, value, size));
}

long clinux_setxattr(int descriptor, const char *name, const void *value, size_t size, int flags) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(setxattr(path, name, value, size, flags));
}

long clinux_removexattr(int descriptor, const char *name) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(removexattr(path, name));
}

long clinux_listxattr(int descriptor, char *list, size_t size) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(listxattr(path, list, size));
}

// getxattrat, Linux 6.13: glibc has no wrapper yet.
#define CLINUX_SYS_GETXATTRAT 464
struct clinux_xattr_args {
    uint64_t value;
    uint32_t size, flags;
} __attribute__((aligned(8)));

long clinux_getxattr_entry(int directory, const char *entry, const char *name, void *value, size_t size) {
    static _Atomic int lacks_getxattrat;
    if (!lacks_getxattrat) {
        struct clinux_xattr_args args = {(uint64_t)(uintptr_t)value, (uint32_t)size, 0};
        long result = CLINUX_RESULT(
            syscall(CLINUX_SYS_GETXATTRAT, directory, entry, AT_SYMLINK_NOFOLLOW, name, &args, sizeof args));
        if (result != -ENOSYS) return result;
        lacks_getxattrat = 1;
    }
    char path[40 + NAME_MAX + 1];
    int length = snprintf(path, sizeof path, "/proc/self/fd/%d/%s", directory, entry);
    if (length < 0 || (size_t)length >= sizeof path) return -ENAMETOOLONG;
    return CLINUX_RESULT(lgetxattr(path, name, value, size));
}

long clinux_name_to_handle(int descriptor, clinux_handle *out) {
    union {
        struct file_handle handle;
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } u;
    int mount;
    u.handle.handle_bytes = MAX_HANDLE_SZ;
    long result = CLINUX_RESULT(name_to_handle_at(descriptor, "", &u.handle, &mount, AT_EMPTY_PATH));
    if (result < 0) return result;
    out->size = u.handle.handle_bytes;
    out->type = u.handle.handle_type;
    memcpy(out->bytes, u.handle.f_handle, u.handle.handle_bytes);
    return 0;
}

long clinux_open_by_handle(int mount, const clinux_handle *in, int flags) {
    union {
        struct file_handle handle;
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } u;
    if (in->size > MAX_HANDLE_SZ) return -EINVAL;
    u.handle.handle_bytes = in->size;
    u.handle.handle_type = in->type;
    memcpy(u.handle.f_handle, in->bytes, in->size);
    return CLINUX_RESULT(open_by_handle_at(mount, &u.handle, flags));
}

long clinux_filesystem_uuid(int descriptor, uint8_t *uuid) {
    struct clinux_fsuuid2 u = {0};
    long result = CLINUX_RESULT(ioctl(descriptor, _IOR(0x15, 0, struct clinux_fsuuid2), &u));
    if (result < 0) return result;
    if (u.length != 16) return -ENODATA;
    memcpy(uuid, u.uuid, 16);
    return 0;
}

long clinux_xfs_uuid(int descriptor, uint8_t *uuid) {
    struct clinux_xfs_geometry_v1 g;
    memset(&g, 0, sizeof g);
    long result = CLINUX_RESULT(ioctl(descriptor, _IOR('X', 100, struct clinux_xfs_geometry_v1), &g));
    if (result < 0) return result;
    memcpy(uuid, g.uuid, 16);
    return 0;
}

long clinux_statfs(int descriptor, clinux_filesystem *out) {
    struct statfs s;
    long result = CLINUX_RESULT(fstatfs(descriptor, &s));
    if (result < 0) return result;
    out->type = (uint64_t)(unsigned long)s.f_type;
    out->block_size = (uint64_t)s.f_bsize;
    out->fragment_size = s.f_frsize ? (uint64_t)s.f_frsize : (uint64_t)s.f_bsize;
    out->blocks = s.f_blocks;
    out->blocks_free = s.f_bfree;
    out->blocks_available = s.f_bavail;
    out->inodes = s.f_files;
    out->inodes_free = s.f_ffree;
    out->name_max = (uint64_t)s.f_namelen;
    memcpy(out->fsid, &s.f_fsid, sizeof out->fsid);
    out->flags = (uint32_t)s.f_flags;
    return 0;
}

long clinux_pread(int descriptor, void *buffer, size_t count, int64_t offset) {
    return CLINUX_RESULT(pread(descriptor, buffer, count, offset));
}

long clinux_pwrite(int descriptor, const void *buffer, size_t count, int64_t offset) {
    return CLINUX_RESULT(pwrite(descriptor, buffer, count, offset));
}

long clinux_preadv2(int descriptor, const struct iovec *vectors, int count, int64_t offset, int flags) {
    return CLINUX_RESULT(preadv2(descriptor, vectors, count, offset, flags));
}

long clinux_pwritev2(int descriptor, const struct iovec *vectors, int count, int64_t offset, int flags) {
    return CLINUX_RESULT(pwritev2(descriptor, vectors, count, offset, flags));
}

long clinux_fsync(int descriptor) { return CLINUX_RESULT(fsync(descriptor)); }

long clinux_fdatasync(int descriptor) { return CLINUX_RESULT(fdatasync(descriptor)); }

long clinux_ftruncate(int descriptor, int64_t size) { return CLINUX_RESULT(ftruncate(descriptor, size)); }

long clinux_fallocate(int descriptor, int mode, int64_t offset, int64_t length) {
    return CLINUX_RESULT(fallocate(descriptor, mode, offset, length));
}

long clinux_seek(int descriptor, int64_t offset, int whence) {
    return CLINUX_RESULT(lseek(descriptor, offset, whence));
}

long clinux_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
    loff_t in = from_offset, out = to_offset;
    return CLINUX_RESULT(copy_file_range(from, &in, to, &out, length, 0));
}

long clinux_clone_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length) {
    struct file_clone_range range = {from, from_offset, length, to_offset};
    return CLINUX_RESULT(ioctl(to, FICLONERANGE, &range));
}

long clinux_getdents(int descriptor, void *buffer, size_t size) {
    return CLINUX_RESULT(syscall(SYS_getdents64, descriptor, buffer, size));
}

long clinux_inotify_init(void) { return CLINUX_RESULT(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)); }

long clinux_inotify_add_descriptor(int inotify, int descriptor, uint32_t mask) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return CLINUX_RESULT(inotify_add_watch(inotify, path, mask));
}

long clinux_inotify_remove(int inotify, int watch) {
    return CLINUX_RESULT(inotify_rm_watch(inotify, watch));
}

long clinux_read(int descriptor, void *buffer, size_t count) {
    return CLINUX_RESULT(read(descriptor, buffer, count));
}
