// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func system(_ name: String, _ pkgConfig: String, _ apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
    name: "quire",
    products: [
        .executable(name: "quire", targets: ["Coordinator"]),
        .executable(name: "quire-worker", targets: ["Worker"]),
        .executable(name: "quire-render", targets: ["Renderer"]),
        .executable(name: "quire-bench", targets: ["Bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        system("CCrypto", "libcrypto", "libssl-dev"),
        system("CEXIF", "libexif", "libexif-dev"),
        system("CLibPQ", "libpq", "libpq-dev"),
        system("COpenBLAS", "openblas", "libopenblas-pthread-dev"),
        system("CPNG", "libpng", "libpng-dev"),
        system("CPoppler", "poppler-glib", "libpoppler-glib-dev"),
        system("CTIFF", "libtiff-4", "libtiff-dev"),
        system("CTurboJPEG", "libturbojpeg", "libturbojpeg0-dev"),

        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "Digest", dependencies: ["CCrypto"], swiftSettings: settings),
        .target(
            name: "Migrations", path: "migrations",
            resources: [.embedInCode("m0001_queue.sql")], swiftSettings: settings),
        .target(
            name: "Shared", dependencies: ["CLibPQ", "Digest", "Migrations", systemPackage],
            swiftSettings: settings),
        .target(name: "Rendering", dependencies: [systemPackage], swiftSettings: settings),
        .target(
            name: "Inference", dependencies: ["CKernels", "COpenBLAS", systemPackage],
            swiftSettings: settings),

        .executableTarget(
            name: "Renderer",
            dependencies: ["CEXIF", "CPNG", "CPoppler", "CTIFF", "CTurboJPEG"],
            swiftSettings: settings),
        .executableTarget(
            name: "Coordinator",
            dependencies: ["Digest", "Inference", "Rendering", "Shared", argumentParser, systemPackage],
            swiftSettings: settings),
        .executableTarget(
            name: "Worker",
            dependencies: ["Digest", "Inference", "Rendering", "Shared", argumentParser, systemPackage],
            swiftSettings: settings),
        .executableTarget(
            name: "Bench",
            dependencies: ["Digest", "Inference", "Rendering", argumentParser, systemPackage],
            swiftSettings: settings),

        .target(name: "TestSupport", dependencies: ["Shared", systemPackage], path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(name: "InferenceTests", dependencies: ["CKernels", "Digest", "Inference"], swiftSettings: settings),
        .testTarget(
            name: "SharedTests", dependencies: ["Digest", "Migrations", "Shared", "TestSupport", systemPackage],
            swiftSettings: settings),
        .testTarget(name: "RenderingTests", dependencies: ["Rendering", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "PipelineTests", dependencies: ["Coordinator", "Shared", "TestSupport"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
