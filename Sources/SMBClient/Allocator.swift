import CLinux

/// For the whole process; a program asks for it when it starts.
package enum Allocator {
    /// Buffers of a megabyte come and go with every answer: without this each would be mapped and unmapped.
    package static func keepLargeBlocks() { clinux_keep_large_blocks() }
}
