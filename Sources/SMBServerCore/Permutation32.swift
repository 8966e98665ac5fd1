/// A permutation of the 32-bit numbers that keeps 0 where it is, one of 2^32: four rounds of a Feistel network over two halves of
/// 16 bits. It hides nothing from who wants to know it; it only keeps two servers' numbers from being the same ones.
struct Permutation32: Sendable {
    private let keys: (UInt32, UInt32, UInt32, UInt32)
    private let imageOfZero: UInt32
    private let originOfZero: UInt32

    init(seed: UInt32) {
        let keys = (
            Self.mixed(seed ^ 0x9E37_79B9), Self.mixed(seed ^ 0x3C6E_F372), Self.mixed(seed ^ 0xDAA6_6D2B),
            Self.mixed(seed ^ 0x78DD_E6E4)
        )
        self.keys = keys
        self.imageOfZero = Self.forward(0, keys)
        self.originOfZero = Self.backward(0, keys)
    }

    /// What leads to 0 goes where 0 would go.
    func done(_ value: UInt32) -> UInt32 {
        guard value != 0 else { return 0 }
        let image = Self.forward(value, self.keys)
        return image == 0 ? self.imageOfZero : image
    }

    func undone(_ image: UInt32) -> UInt32 {
        guard image != 0 else { return 0 }
        let value = Self.backward(image, self.keys)
        return value == 0 ? self.originOfZero : value
    }

    private static func forward(_ value: UInt32, _ keys: (UInt32, UInt32, UInt32, UInt32)) -> UInt32 {
        var (left, right) = (value >> 16, value & 0xFFFF)
        // Without a loop: a list of the keys would be an allocation for each request.
        (left, right) = (right, left ^ self.round(right, keys.0))
        (left, right) = (right, left ^ self.round(right, keys.1))
        (left, right) = (right, left ^ self.round(right, keys.2))
        (left, right) = (right, left ^ self.round(right, keys.3))
        return left << 16 | right
    }

    private static func backward(_ image: UInt32, _ keys: (UInt32, UInt32, UInt32, UInt32)) -> UInt32 {
        var (left, right) = (image >> 16, image & 0xFFFF)
        (left, right) = (right ^ self.round(left, keys.3), left)
        (left, right) = (right ^ self.round(left, keys.2), left)
        (left, right) = (right ^ self.round(left, keys.1), left)
        (left, right) = (right ^ self.round(left, keys.0), left)
        return left << 16 | right
    }

    private static func round(_ half: UInt32, _ key: UInt32) -> UInt32 {
        self.mixed(half &* 0x0001_0001 ^ key) & 0xFFFF
    }

    private static func mixed(_ value: UInt32) -> UInt32 {
        var value = value
        value ^= value >> 16
        value = value &* 0x85EB_CA6B
        value ^= value >> 13
        value = value &* 0xC2B2_AE35
        return value ^ value >> 16
    }
}
