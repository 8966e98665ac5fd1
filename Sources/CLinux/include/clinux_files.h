#pragma once
// Files and file systems: openat2, statx, file handles, xattrs, reflinks, inotify.
//
// Every wrapper returns what the system call returns, or -errno: Swift sees no thread-local errno that something else
// may have touched in between. The code is in clinux_files.c: what it calls hides
// behind _GNU_SOURCE, which Swift's own Glibc module is built without.

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

extern const int clinux_o_path;
extern const int clinux_o_tmpfile;

// Paths

long clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

long clinux_open(const char *path, int flags);

long clinux_openat(int directory, const char *path, int flags, uint32_t mode);

// Opens the inode behind `descriptor` (which may be O_PATH) anew. /proc/self/fd follows the descriptor, not a name.
long clinux_reopen(int descriptor, int flags);

// The path under which the kernel knows the descriptor now, renames of parents included.
long clinux_descriptor_path(int descriptor, char *buffer, size_t capacity);

long clinux_readlinkat(int directory, const char *path, char *buffer, size_t capacity);

long clinux_close(int descriptor);
long clinux_dup(int descriptor);
// An exclusive flock(2) of the open file, without waiting: -EWOULDBLOCK where somebody else has it.
long clinux_lock(int descriptor);
// Gives it back at once, also where other descriptors of the same open file are left (a child's, until it executes).
long clinux_unlock(int descriptor);
long clinux_mkdirat(int directory, const char *path, uint32_t mode);
long clinux_unlinkat(int directory, const char *path, int flags);
long clinux_renameat2(int from, const char *old, int to, const char *new_, unsigned flags);
// Links the inode behind `descriptor`, whatever its name is now.
long clinux_link_descriptor(int descriptor, int to, const char *name);
long clinux_symlinkat(const char *target, int directory, const char *name);

// Attributes

typedef struct {
    int64_t seconds;
    uint32_t nanoseconds;
} clinux_time;

typedef struct {
    uint64_t inode, size, blocks, mount;
    clinux_time atime, btime, ctime, mtime;
    uint32_t mode, links, uid, gid, device_major, device_minor, has_birth_time;
} clinux_stat;

long clinux_statx(int directory, const char *path, int flags, clinux_stat *out);

long clinux_stat_descriptor(int descriptor, clinux_stat *out);

// `nanoseconds` may be UTIME_OMIT. Works on O_PATH descriptors too.
long clinux_set_times(int descriptor, clinux_time access, clinux_time modification);
// Of a directory's entry; a symbolic link is not followed.
long clinux_set_entry_times(int directory, const char *entry, clinux_time access, clinux_time modification);
// Of the inode behind `descriptor`, which may be O_PATH; 0xFFFFFFFF leaves an id as it is.
long clinux_chmod(int descriptor, uint32_t mode);
long clinux_chown(int descriptor, uint32_t uid, uint32_t gid);
extern const uint32_t clinux_utime_omit;
extern const uint32_t clinux_utime_now;

// Extended attributes, through /proc/self/fd so that O_PATH descriptors do.

long clinux_getxattr(int descriptor, const char *name, void *value, size_t size);
long clinux_setxattr(int descriptor, const char *name, const void *value, size_t size, int flags);
long clinux_removexattr(int descriptor, const char *name);
long clinux_listxattr(int descriptor, char *list, size_t size);
// An attribute of a directory's entry, without opening the entry. A symbolic link is not followed.
long clinux_getxattr_entry(int directory, const char *entry, const char *name, void *value, size_t size);

// Identity

typedef struct {
    uint32_t size;
    int32_t type;
    unsigned char bytes[128];
} clinux_handle;

long clinux_name_to_handle(int descriptor, clinux_handle *out);

long clinux_open_by_handle(int mount, const clinux_handle *in, int flags);

long clinux_filesystem_uuid(int descriptor, uint8_t *uuid);

long clinux_xfs_uuid(int descriptor, uint8_t *uuid);

typedef struct {
    uint64_t type, block_size, fragment_size, blocks, blocks_free, blocks_available, inodes, inodes_free, name_max;
    uint32_t fsid[2], flags;
} clinux_filesystem;

// Of `flags`: set-user-ID and set-group-ID bits mean nothing when a program starts.
extern const uint32_t clinux_st_nosuid;

long clinux_statfs(int descriptor, clinux_filesystem *out);

// Data

long clinux_pread(int descriptor, void *buffer, size_t count, int64_t offset);
long clinux_pwrite(int descriptor, const void *buffer, size_t count, int64_t offset);
long clinux_preadv2(int descriptor, const struct iovec *vectors, int count, int64_t offset, int flags);
long clinux_pwritev2(int descriptor, const struct iovec *vectors, int count, int64_t offset, int flags);
extern const int clinux_rwf_nowait;
extern const int clinux_rwf_dsync;

long clinux_fsync(int descriptor);
long clinux_fdatasync(int descriptor);
long clinux_ftruncate(int descriptor, int64_t size);
long clinux_fallocate(int descriptor, int mode, int64_t offset, int64_t length);
long clinux_seek(int descriptor, int64_t offset, int whence);
extern const int clinux_seek_data;
extern const int clinux_seek_hole;
long clinux_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);
long clinux_clone_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length);

// Directories

long clinux_getdents(int descriptor, void *buffer, size_t size);

// Change notification

long clinux_inotify_init(void);
long clinux_inotify_add_descriptor(int inotify, int descriptor, uint32_t mask);
long clinux_inotify_remove(int inotify, int watch);
long clinux_read(int descriptor, void *buffer, size_t count);
