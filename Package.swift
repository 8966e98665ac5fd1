// swift-tools-version: 6.3
import PackageDescription

// Arrows point down only: a target names what it stands on, and nothing beneath it names it back (docs/ARCHITECTURE.md).

// CI sets HOLDFAST_STRICT: warnings of our own targets are errors there, and nobody else's are.
let strict: [SwiftSetting] = Context.environment["HOLDFAST_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)]

// cluster/lab fuzz sets HOLDFAST_FUZZER: `holdfastfuzz` is then driven by libFuzzer, which brings the sanitizer's `main`.
let libFuzzer: [SwiftSetting] =
    Context.environment["HOLDFAST_FUZZER"] == nil
    ? [] : [.define("HOLDFAST_LIBFUZZER"), .unsafeFlags(["-parse-as-library"])]

let settings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableExperimentalFeature("Lifetimes"),
    ] + strict

/// A target that decides: no clock, PRNG, socket, file or Foundation beneath it.
func pure(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func shell(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: [.target(name: name)] + dependencies, swiftSettings: settings)
}

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "holdfast",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    ],
    targets: [
        // C: Debian's -dev packages and the kernel's headers.
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CISCSI", pkgConfig: "libiscsi", providers: [.apt(["libiscsi-dev"])]),

        // Pure.
        pure("SMB2Wire"),
        pure("SMBCompression"),
        pure("StateRecords"),
        pure("SMBServerCore", ["SMB2Wire", "SMBCompression", "StateRecords"]),
        pure("Raft"),
        pure("ClusterCore", ["Raft", "StateRecords"]),
        pure("Fencing"),
        pure("QuorumDisk", ["Raft", "ClusterCore", "StateRecords"]),

        // Shells and owners of C handles.
        shell("SQLite", ["CSQLite"]),
        shell("SMBCrypto", ["COpenSSL"]),
        shell("SMBAuth", ["SMBCrypto"]),
        shell("FileStore", ["SMB2Wire", "CLinux"]),
        shell(
            "SMBServer",
            [
                "SMB2Wire", "SMBCompression", "StateRecords", "SMBServerCore", "SMBCrypto", "SMBAuth", "FileStore",
                "SQLite", "CLinux",
            ]),
        shell("SMBClient", ["SMB2Wire", "SMBCompression", "SMBCrypto", "SMBAuth", "CLinux"]),
        shell("ClusterStore", ["Raft", "ClusterCore", "StateRecords", "SQLite", "CLinux"]),
        shell("ClusterPlatform", ["Fencing", "CISCSI", "CLinux"]),
        shell("ClusterTransport", ["StateRecords", logging, nio, nioPosix, nioTLS, nioSSL, x509, asn1, crypto]),

        executable("smbserverd", ["SMBServer", "StateRecords"]),
        executable("smbbench", ["SMBClient", arguments]),
        executable("lunbridge", ["ClusterPlatform"]),
        .executableTarget(
            name: "storagedrill", dependencies: ["ClusterPlatform", "Fencing"], path: "Tests/Integration/storagedrill",
            swiftSettings: settings),
        executable(
            "clusterd",
            [
                "ClusterCore", "ClusterStore", "ClusterPlatform", "ClusterTransport", "Fencing", "QuorumDisk",
                "StateRecords", "CLinux", arguments, logging,
            ]),
        executable(
            "clusterctl",
            [
                "ClusterCore", "ClusterTransport", "StateRecords", "SMBAuth", "SMBClient", "SMBCrypto", "SMB2Wire",
                arguments,
            ]),
        .target(
            name: "ClusterSimulation", dependencies: ["Raft", "ClusterCore", "Fencing", "QuorumDisk", "StateRecords"],
            swiftSettings: settings),
        executable("clustersim", ["ClusterSimulation", arguments]),

        // Well-formed messages and how to break them, for the tests of the codecs and of the whole server.
        .target(name: "GoldenMessages", path: "Tests/GoldenMessages", swiftSettings: settings),
        // What bytes from outside can reach, for libFuzzer (cluster/lab fuzz) and, briefly, for the tests.
        .target(
            name: "FuzzSubjects",
            dependencies: [
                "SMB2Wire", "SMBCompression", "SMBCrypto", "SMBAuth", "SMBServerCore", "SMBServer", "SMBClient",
                "StateRecords", "GoldenMessages",
            ], path: "Tests/FuzzSubjects", swiftSettings: settings),
        .executableTarget(
            name: "holdfastfuzz", dependencies: ["FuzzSubjects", "GoldenMessages"], path: "Tests/holdfastfuzz",
            swiftSettings: settings + libFuzzer),
        tests("SMB2Wire", ["FuzzSubjects", "GoldenMessages"]),
        tests("SMBCompression", ["GoldenMessages"]),
        .testTarget(
            name: "FuzzSubjectsTests", dependencies: ["FuzzSubjects", "GoldenMessages", "SMB2Wire"],
            swiftSettings: settings),
        tests("StateRecords", []),
        tests("SMBServerCore", ["SMB2Wire", "SMBCompression", "StateRecords"]),
        tests("Raft", []),
        tests("ClusterCore", ["Raft", "StateRecords"]),
        tests("QuorumDisk", ["Raft", "ClusterCore", "StateRecords", "GoldenMessages"]),
        tests("ClusterSimulation", ["Raft", "ClusterCore"]),
        tests("SMBCrypto", []),
        tests("SMBAuth", ["SMBCrypto"]),
        tests("SMBClient", ["SMB2Wire", "SMBCrypto", "SMBAuth"]),
        tests("FileStore", ["SMB2Wire", "CLinux"]),
        tests(
            "SMBServer",
            [
                "SMB2Wire", "SMBServerCore", "SMBClient", "FileStore", "StateRecords", "CLinux", "SMBAuth", "SMBCrypto",
                "GoldenMessages", "SMBCompression",
            ]),
        tests("ClusterStore", ["Raft", "ClusterCore", "StateRecords", "SQLite", "CSQLite"]),
        .testTarget(
            name: "EncodingTests", dependencies: ["StateRecords", "Raft", "ClusterCore", "ClusterStore", "QuorumDisk"],
            exclude: ["Golden"], swiftSettings: settings),
        tests("Fencing", []),
        tests("ClusterPlatform", ["Fencing", "CLinux"]),
        tests("ClusterTransport", ["StateRecords", nioEmbedded]),
    ]
)
