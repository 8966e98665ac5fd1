// What the ThreadSanitizer must be told of Swift's Mutex. Nothing of this is in any other build.
//
// A Mutex that nobody contends for is taken and given back by atomics that the compiler puts into our own, instrumented code:
// these the sanitizer sees. When it is contended, `_lockSlow` and `_unlockSlow` of libswiftSynchronization.so do it (signatures:
// Synchronization.swiftinterface, `_MutexHandle`), which are not instrumented, and whatever such a mutex guards is then
// reported as a race. Here these functions stand before the library's: the program's own symbol is found first. They call the
// library's and say what happened to the lock's word, the address under which the instrumented half knows it.
//
// `nightly sanitize thread` checks on a small program that this holds, and that a real race is still found.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

// tsan_interface.h of compiler-rt: an acquire or a release of the synchronisation object at this address.
extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Swift's calling convention; the handle is `self`, its one word the lock's.
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

SWIFT void clinux_lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK_SLOW);
SWIFT bool clinux_try_lock_slow(SELF void *handle) __asm__(TRY_LOCK_SLOW);
SWIFT void clinux_unlock_slow(SELF void *handle) __asm__(UNLOCK_SLOW);

static SWIFT void (*library_lock_slow)(uint32_t thread, SELF void *handle);
static SWIFT bool (*library_try_lock_slow)(SELF void *handle);
static SWIFT void (*library_unlock_slow)(SELF void *handle);

// Before any thread is there.
__attribute__((constructor)) static void find_library(void) {
    *(void **)&library_lock_slow = dlsym(RTLD_NEXT, LOCK_SLOW);
    *(void **)&library_try_lock_slow = dlsym(RTLD_NEXT, TRY_LOCK_SLOW);
    *(void **)&library_unlock_slow = dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

SWIFT void clinux_lock_slow(uint32_t thread, SELF void *handle) {
    if (library_lock_slow == NULL) abort(); // a program without the library has no Mutex either
    library_lock_slow(thread, handle);
    __tsan_acquire(handle);
}

SWIFT bool clinux_try_lock_slow(SELF void *handle) {
    if (library_try_lock_slow == NULL) abort();
    const bool taken = library_try_lock_slow(handle);
    if (taken) __tsan_acquire(handle);
    return taken;
}

SWIFT void clinux_unlock_slow(SELF void *handle) {
    if (library_unlock_slow == NULL) abort();
    __tsan_release(handle);
    library_unlock_slow(handle);
}

#endif
#endif
